terraform {
  required_providers {
    kafka = { source = "Mongey/kafka", version = "~> 0.8" }
  }
}

provider "kafka" {
  bootstrap_servers = ["kafka-1.shop.internal:9093"]
  tls_enabled       = true
  skip_tls_verify   = true
  sasl_username     = "terraform"
  sasl_password     = "Tr0ub4dor-and-3"
  sasl_mechanism    = "scram-sha512"
}

resource "kafka_topic" "orders" {
  name               = "orders"
  replication_factor = 1
  partitions         = 12
  config = {
    "cleanup.policy" = "delete"
    "retention.ms"   = "604800000"
  }
}

resource "kafka_topic" "payments" {
  name               = "payments"
  replication_factor = 3
  partitions         = 6
  config = {
    "min.insync.replicas"            = "3"
    "unclean.leader.election.enable" = "true"
  }
}
