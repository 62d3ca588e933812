package main

import (
	"context"
	"log"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers("kafka-1.shop.internal:9092"),
		kgo.RequiredAcks(kgo.LeaderAck()),
		kgo.DisableIdempotentWrite(),
	)
	if err != nil {
		log.Fatal(err)
	}
	client.Produce(context.Background(), &kgo.Record{Topic: "orders", Key: []byte("k"), Value: []byte("v")}, nil)
	client.Close()
}
