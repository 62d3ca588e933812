package ledger

import "github.com/IBM/sarama"

func NewWriter(brokers []string) (sarama.SyncProducer, error) {
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForLocal
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
