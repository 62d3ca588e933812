variable "password" {
  type      = string
  sensitive = true
}

provider "kafka" {
  bootstrap_servers = ["kafka-1.shop.internal:9093", "kafka-2.shop.internal:9093"]
  tls_enabled       = true
  sasl_username     = "terraform"
  sasl_password     = var.password
  sasl_mechanism    = "scram-sha512"
}

resource "kafka_topic" "orders" {
  name               = "orders"
  partitions         = 12
  replication_factor = 3
  config = {
    "min.insync.replicas" = "2"
    "retention.ms"        = "604800000"
    "cleanup.policy"      = "delete"
  }
}
