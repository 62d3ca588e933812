package ledger

import "github.com/IBM/sarama"

func NewWriter(brokers []string) (sarama.SyncProducer, error) {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Producer.Retry.Max = 100
	config.Net.MaxOpenRequests = 1
	return sarama.NewSyncProducer(brokers, config)
}

func Book(producer sarama.SyncProducer, account string, entry []byte) error {
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{
		Topic: "ledger",
		Key:   sarama.StringEncoder(account),
		Value: sarama.ByteEncoder(entry),
	})
	return err
}
