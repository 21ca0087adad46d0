// Transactions by franz-go, against the broker that BOOTSTRAP names. It has the topics input (3 partitions), output (3) and
// decided (3).
package transactions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(os.Getenv("BOOTSTRAP")))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// read returns `count` values that a new consumer of committed records reads, sorted, and fails if there are more.
func read(t *testing.T, topic string, count int) []string {
	t.Helper()
	consumer := client(t, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var values []string
	collect := func(ctx context.Context) {
		consumer.PollFetches(ctx).EachRecord(func(record *kgo.Record) { values = append(values, string(record.Value)) })
	}
	for ctx := bounded(t); len(values) < count && ctx.Err() == nil; {
		collect(ctx)
	}
	silence, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	collect(silence)
	slices.Sort(values)
	return values
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCommittedRecordsAreReadAndAbortedOnesAreNot(t *testing.T) {
	ctx := bounded(t)
	producer := client(t, kgo.TransactionalID("decided"))
	var expected []string
	for round := range 6 {
		must(t, producer.BeginTransaction())
		for n := range 5 {
			value := fmt.Sprintf("%d-%d", round, n)
			producer.Produce(ctx, &kgo.Record{Topic: "decided", Key: []byte(value), Value: []byte(value)}, nil)
			if round%2 == 0 {
				expected = append(expected, value)
			}
		}
		must(t, producer.Flush(ctx))
		must(t, producer.EndTransaction(ctx, kgo.TransactionEndTry(round%2 == 0)))
	}
	// Another producer with the id aborts what this one has left open.
	must(t, producer.BeginTransaction())
	must(t, producer.ProduceSync(ctx, &kgo.Record{Topic: "decided", Value: []byte("dropped")}).FirstErr())
	second := client(t, kgo.TransactionalID("decided"))
	must(t, second.BeginTransaction())
	must(t, second.ProduceSync(ctx, &kgo.Record{Topic: "decided", Value: []byte("by the second")}).FirstErr())
	err := producer.EndTransaction(ctx, kgo.TryCommit)
	if !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
		t.Fatalf("the first producer got %v", err)
	}
	must(t, second.EndTransaction(ctx, kgo.TryCommit))
	expected = append(expected, "by the second")
	if values := read(t, "decided", len(expected)); !slices.Equal(values, expected) {
		t.Fatal(values)
	}
}

// A loop that is left in the middle of a transaction, and started again with the same transactional id.
func TestAbandonedLoopWritesEachRecordOnce(t *testing.T) {
	const count = 300
	ctx := bounded(t)
	producer := client(t)
	var expected []string
	for n := range count {
		value := fmt.Sprintf("%03d", n)
		producer.Produce(ctx, &kgo.Record{Topic: "input", Key: []byte(value), Value: []byte(value)}, nil)
		expected = append(expected, value+"!")
	}
	must(t, producer.Flush(ctx))
	written := 0
	for life := 0; written < count; life++ {
		session, err := kgo.NewGroupTransactSession(
			kgo.SeedBrokers(os.Getenv("BOOTSTRAP")), kgo.TransactionalID("loop"), kgo.ConsumerGroup("loop"),
			kgo.ConsumeTopics("input"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		)
		must(t, err)
		for transaction := 0; written < count && ctx.Err() == nil; transaction++ {
			records := session.PollRecords(ctx, 10).Records()
			must(t, session.Begin())
			for _, record := range records {
				session.Produce(ctx, &kgo.Record{Topic: "output", Key: record.Key, Value: append(record.Value, '!')}, nil)
			}
			if life < 5 && transaction == life {
				must(t, session.Client().Flush(ctx))
				break
			}
			committed, err := session.End(ctx, kgo.TryCommit)
			must(t, err)
			if committed {
				written += len(records)
			}
		}
		session.Close()
		must(t, ctx.Err())
	}
	if values := read(t, "output", count); !slices.Equal(values, expected) {
		t.Fatal(values)
	}
}
