// The steps of scenario.md through the AWS SDK for Go v2: JSON over HTTP/1.1, HTTP/2 over TLS.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	account = "000000000000"
	quarter = "85070591730234615865843651857942052864"
	half    = "170141183460469231731687303715884105728"
	most    = "340282366920938463463374607431768211455"
	policy  = `{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow",` +
		`"Principal":{"AWS":"arn:aws:iam::111122223333:root"},` +
		`"Action":["kinesis:DescribeStreamSummary","kinesis:GetRecords"],` +
		`"Resource":"arn:aws:kinesis:us-east-1:` + account + `:stream/clicks"}]}`
	throttled = "Rate exceeded for shard shardId-000000000000 in stream limited under account " +
		account + "."
	aggregated = "f3899ac20a06757365722d310a06757365722d321a0708001a036f6e651a0708011a0374776f" +
		"739579e92e3431b6e6d0e006dcba4a78"
)

var metrics = []types.MetricsName{
	types.MetricsNameIncomingBytes,
	types.MetricsNameIncomingRecords,
	types.MetricsNameIteratorAgeMilliseconds,
	types.MetricsNameOutgoingBytes,
	types.MetricsNameOutgoingRecords,
	types.MetricsNameReadProvisionedThroughputExceeded,
	types.MetricsNameWriteProvisionedThroughputExceeded,
}

var (
	ctx            = context.Background()
	client         = connect(attempts(15))
	withoutRetries = connect(attempts(1))
)

func connect(options ...func(*config.LoadOptions) error) *kinesis.Client {
	return kinesis.NewFromConfig(must(config.LoadDefaultConfig(ctx, options...)))
}

func attempts(most int) config.LoadOptionsFunc {
	return config.WithRetryMaxAttempts(most)
}

// A difference ends the scenario; main prints it.

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func assert(holds bool, what ...any) {
	if !holds {
		panic(fmt.Sprint(what...))
	}
}

func equal[T any](found, expected T) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("found %#v, expected %#v", found, expected))
	}
}

// The error is the SDK's own type E with that text, unless that is empty.
func refused[E smithy.APIError](text string, err error) {
	var typed E
	assert(errors.As(err, &typed), fmt.Sprintf("not refused with %T, but with %v", typed, err))
	var response *smithyhttp.ResponseError
	assert(errors.As(err, &response), "no answer at all: ", err)
	equal(response.HTTPStatusCode(), 400)
	if text != "" {
		equal(typed.ErrorMessage(), text)
	}
}

func second[T any](_ T, err error) error { return err }

func number(text string) *big.Int {
	value, whole := new(big.Int).SetString(text, 10)
	assert(whole, text, " is no number")
	return value
}

// Text of a number one less.
func before(text string) string {
	return new(big.Int).Sub(number(text), big.NewInt(1)).String()
}

func arn(stream string) string {
	return "arn:aws:kinesis:us-east-1:" + account + ":stream/" + stream
}

func shardID(index int) string { return fmt.Sprintf("shardId-%012d", index) }

func create(stream string, shards int32) {
	must(client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: &shards}))
	untilActive(stream)
}

func summary(stream string) *types.StreamDescriptionSummary {
	input := &kinesis.DescribeStreamSummaryInput{StreamName: &stream}
	return must(client.DescribeStreamSummary(ctx, input)).StreamDescriptionSummary
}

func untilActive(stream string) *types.StreamDescriptionSummary {
	for {
		if found := summary(stream); found.StreamStatus == types.StreamStatusActive {
			return found
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func record(stream, data string) *kinesis.PutRecordInput {
	key := "a"
	return &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: &key, Data: []byte(data)}
}

func recordAt(hashKey, stream, data string) *kinesis.PutRecordInput {
	input := record(stream, data)
	input.ExplicitHashKey = &hashKey
	return input
}

func put(input *kinesis.PutRecordInput) *kinesis.PutRecordOutput {
	return must(client.PutRecord(ctx, input))
}

type landed struct{ shard, data string }

// Puts `word 1`, `word 2`, ... until one lands in the shard.
func putUntil(stream, shard, word string) (all []landed) {
	for n := 1; ; n++ {
		data := fmt.Sprint(word, " ", n)
		in := *put(recordAt("0", stream, data)).ShardId
		all = append(all, landed{in, data})
		if in == shard {
			return all
		}
	}
}

func dataOfLanded(all []landed) (data []string) {
	for _, one := range all {
		data = append(data, one.data)
	}
	return data
}

func at(stream, shard string, kind types.ShardIteratorType) *kinesis.GetShardIteratorInput {
	return &kinesis.GetShardIteratorInput{
		StreamName: &stream, ShardId: &shard, ShardIteratorType: kind,
	}
}

func atNumber(stream, shard string, kind types.ShardIteratorType, number *string) *kinesis.GetShardIteratorInput {
	input := at(stream, shard, kind)
	input.StartingSequenceNumber = number
	return input
}

func iterator(input *kinesis.GetShardIteratorInput) *string {
	return must(client.GetShardIterator(ctx, input)).ShardIterator
}

func horizon(stream, shard string) *string {
	return iterator(at(stream, shard, types.ShardIteratorTypeTrimHorizon))
}

// Records up to the tip.
func readBy(reader *kinesis.Client, at *string) (records []types.Record) {
	for {
		answer := must(reader.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at}))
		records = append(records, answer.Records...)
		equal(len(answer.ChildShards), 0)
		if len(answer.Records) == 0 && *answer.MillisBehindLatest == 0 {
			return records
		}
		at = answer.NextShardIterator
	}
}

func read(at *string) []types.Record { return readBy(client, at) }

// Records up to the end, and the children told there.
func drain(at *string) (records []types.Record, children []types.ChildShard) {
	for {
		answer := must(client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at}))
		records = append(records, answer.Records...)
		if answer.NextShardIterator == nil {
			return records, answer.ChildShards
		}
		equal(len(answer.ChildShards), 0)
		at = answer.NextShardIterator
		time.Sleep(200 * time.Millisecond)
	}
}

func readOne(at *string) *kinesis.GetRecordsOutput {
	one := int32(1)
	return must(client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at, Limit: &one}))
}

func texts(records []types.Record) (data []string) {
	for _, record := range records {
		data = append(data, string(record.Data))
	}
	return data
}

func shardsOf(stream string) []types.Shard {
	return must(client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: &stream})).Shards
}

func filtered(stream string, filter types.ShardFilter) []types.Shard {
	input := &kinesis.ListShardsInput{StreamName: &stream, ShardFilter: &filter}
	return must(client.ListShards(ctx, input)).Shards
}

func idsOf(shards []types.Shard) (ids []string) {
	for _, shard := range shards {
		ids = append(ids, *shard.ShardId)
	}
	return ids
}

func childIDs(children []types.ChildShard) (ids []string) {
	for _, child := range children {
		ids = append(ids, *child.ShardId)
	}
	return ids
}

func shardPages(stream string, size int32) (pages [][]string) {
	input := &kinesis.ListShardsInput{StreamName: &stream, MaxResults: &size}
	for {
		answer := must(client.ListShards(ctx, input))
		pages = append(pages, idsOf(answer.Shards))
		if answer.NextToken == nil {
			return pages
		}
		input = &kinesis.ListShardsInput{NextToken: answer.NextToken, MaxResults: &size}
	}
}

func isClosed(shard types.Shard) bool { return shard.SequenceNumberRange.EndingSequenceNumber != nil }

type span struct{ start, end string }

func hashRange(keys *types.HashKeyRange) span {
	return span{*keys.StartingHashKey, *keys.EndingHashKey}
}

// The shards cover the key space without hole or overlap.
func tiles(shards []types.Shard) {
	shards = slices.SortedFunc(slices.Values(shards), func(a, b types.Shard) int {
		return number(*a.HashKeyRange.StartingHashKey).Cmp(number(*b.HashKeyRange.StartingHashKey))
	})
	last := "-1"
	for _, shard := range shards {
		keys := hashRange(shard.HashKeyRange)
		equal(before(keys.start), last)
		last = keys.end
	}
	equal(last, most)
}

func isRecent(at time.Time) { assert(time.Since(at).Abs() < time.Hour, at) }

type step struct {
	number int
	name   string
	run    func()
}

// What steps 8 to 11 put.
type stored struct{ shard, number, key, data string }

var (
	createdAt time.Time
	written   []stored
	inShard0  []types.Record
)

var lifeCycle = []step{
	{1, "create", func() {
		shards := int32(2)
		must(client.CreateStream(ctx, &kinesis.CreateStreamInput{
			StreamName: aws.String("clicks"), ShardCount: &shards, Tags: map[string]string{"team": "web"},
		}))
		waiter := kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = time.Second, time.Second
		})
		input := &kinesis.DescribeStreamInput{StreamName: aws.String("clicks")}
		must(0, waiter.Wait(ctx, input, time.Minute))
	}},
	{2, "name taken", func() {
		shards := int32(2)
		input := &kinesis.CreateStreamInput{StreamName: aws.String("clicks"), ShardCount: &shards}
		text := "Stream clicks under account " + account + " already exists."
		refused[*types.ResourceInUseException](text, second(client.CreateStream(ctx, input)))
	}},
	{3, "describe", func() {
		input := &kinesis.DescribeStreamInput{StreamName: aws.String("clicks")}
		found := must(client.DescribeStream(ctx, input)).StreamDescription
		equal(*found.StreamARN, arn("clicks"))
		equal(found.StreamStatus, types.StreamStatusActive)
		equal(found.StreamModeDetails.StreamMode, types.StreamModeProvisioned)
		equal(*found.RetentionPeriodHours, 24)
		equal(found.EncryptionType, types.EncryptionTypeNone)
		equal(len(found.EnhancedMonitoring), 1)
		equal(len(found.EnhancedMonitoring[0].ShardLevelMetrics), 0)
		equal(*found.HasMoreShards, false)
		equal(idsOf(found.Shards), []string{shardID(0), shardID(1)})
		equal(hashRange(found.Shards[0].HashKeyRange), span{"0", before(half)})
		equal(hashRange(found.Shards[1].HashKeyRange), span{half, most})
		for _, shard := range found.Shards {
			equal(len(*shard.SequenceNumberRange.StartingSequenceNumber), 56)
			assert(!isClosed(shard), "a new shard is closed")
			assert(shard.ParentShardId == nil && shard.AdjacentParentShardId == nil, "it has parents")
		}
		createdAt = *found.StreamCreationTimestamp
		isRecent(createdAt)
	}},
	{4, "summary", func() {
		input := &kinesis.DescribeStreamSummaryInput{StreamARN: aws.String(arn("clicks"))}
		found := must(client.DescribeStreamSummary(ctx, input)).StreamDescriptionSummary
		equal(*found.StreamName, "clicks")
		equal(*found.OpenShardCount, 2)
		equal(*found.ConsumerCount, 0)
		equal(*found.MaxRecordSizeInKiB, 1024)
		equal(*found.StreamCreationTimestamp, createdAt)
		assert(found.StreamId == nil, "a client with a StreamId ignores its endpoint")
	}},
	{5, "list", func() {
		create("archive", 1)
		one := int32(1)
		var pages [][]string
		paginator := kinesis.NewListStreamsPaginator(client, &kinesis.ListStreamsInput{Limit: &one})
		for paginator.HasMorePages() {
			pages = append(pages, must(paginator.NextPage(ctx)).StreamNames)
		}
		equal(pages, [][]string{{"archive"}, {"clicks"}})
	}},
	{6, "delete", func() {
		must(client.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: aws.String("archive")}))
		untilGone("archive")
		input := &kinesis.DescribeStreamInput{StreamName: aws.String("archive")}
		text := "Stream archive under account " + account + " not found."
		refused[*types.ResourceNotFoundException](text, second(client.DescribeStream(ctx, input)))
	}},
	{7, "pages", func() {
		equal(shardPages("clicks", 1), [][]string{{shardID(0)}, {shardID(1)}})
		one := int32(1)
		input := &kinesis.ListShardsInput{StreamName: aws.String("clicks"), MaxResults: &one}
		input.NextToken = must(client.ListShards(ctx, input)).NextToken
		text := "NextToken and StreamName cannot be provided together."
		refused[*types.InvalidArgumentException](text, second(client.ListShards(ctx, input)))
		found := must(client.DescribeStream(ctx, &kinesis.DescribeStreamInput{
			StreamName: aws.String("clicks"), Limit: &one,
		})).StreamDescription
		equal(len(found.Shards), 1)
		equal(*found.HasMoreShards, true)
	}},
}

func untilGone(stream string) {
	waiter := kinesis.NewStreamNotExistsWaiter(client, func(o *kinesis.StreamNotExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Second, time.Second
	})
	must(0, waiter.Wait(ctx, &kinesis.DescribeStreamInput{StreamName: &stream}, time.Minute))
}

func remember(shard, number *string, encryption types.EncryptionType, expected, key, data string) {
	equal(*shard, expected)
	equal(encryption, "")
	written = append(written, stored{*shard, *number, key, data})
}

func allBytes() (all []byte) {
	for b := range 256 {
		all = append(all, byte(b))
	}
	return all
}

var writing = []step{
	{8, "put", func() {
		start := shardsOf("clicks")[0].SequenceNumberRange.StartingSequenceNumber
		answer := put(record("clicks", "first"))
		remember(answer.ShardId, answer.SequenceNumber, answer.EncryptionType, shardID(0), "a", "first")
		assert(number(*answer.SequenceNumber).Cmp(number(*start)) > 0, "not above the start")
	}},
	{9, "explicit hash key", func() {
		answer := put(recordAt(most, "clicks", "last"))
		remember(answer.ShardId, answer.SequenceNumber, answer.EncryptionType, shardID(1), "a", "last")
	}},
	{10, "put many", func() {
		entry := func(key, data string) types.PutRecordsRequestEntry {
			return types.PutRecordsRequestEntry{PartitionKey: &key, Data: []byte(data)}
		}
		entries := []types.PutRecordsRequestEntry{
			entry("pk", "plain"),
			entry("ü", ""),
			entry("🦆 duck", "quack 🦆"),
			entry("日本", string(allBytes())),
			entry("a", string(must(hex.DecodeString(aggregated)))),
		}
		entries[4].ExplicitHashKey = aws.String("0")
		shards := []int{0, 1, 1, 0, 0}
		input := &kinesis.PutRecordsInput{StreamName: aws.String("clicks"), Records: entries}
		answer := must(client.PutRecords(ctx, input))
		equal(*answer.FailedRecordCount, 0)
		equal(len(answer.Records), len(entries))
		for place, result := range answer.Records {
			assert(result.ErrorCode == nil && result.ErrorMessage == nil, "an entry failed")
			key, data := *entries[place].PartitionKey, string(entries[place].Data)
			expected := shardID(shards[place])
			remember(result.ShardId, result.SequenceNumber, answer.EncryptionType, expected, key, data)
		}
	}},
	{11, "ordering", func() {
		plain := written[2].number
		input := record("clicks", "later")
		input.PartitionKey, input.SequenceNumberForOrdering = aws.String("pk"), &plain
		answer := put(input)
		assert(number(*answer.SequenceNumber).Cmp(number(plain)) > 0, "not above the one before")
		remember(answer.ShardId, answer.SequenceNumber, answer.EncryptionType, shardID(0), "pk", "later")
	}},
}

var reading = []step{
	{12, "trim horizon", func() {
		for _, shard := range []string{shardID(1), shardID(0)} {
			records := read(horizon("clicks", shard))
			var found, expected []stored
			for _, r := range records {
				found = append(found, stored{shard, *r.SequenceNumber, *r.PartitionKey, string(r.Data)})
				equal(r.EncryptionType, "")
			}
			for _, one := range written {
				if one.shard == shard {
					expected = append(expected, one)
				}
			}
			equal(found, expected)
			assert(slices.IsSortedFunc(records, func(a, b types.Record) int {
				return a.ApproximateArrivalTimestamp.Compare(*b.ApproximateArrivalTimestamp)
			}), "times fall")
			isRecent(*records[0].ApproximateArrivalTimestamp)
			inShard0 = records
		}
	}},
	{13, "at number", func() {
		from := inShard0[1].SequenceNumber
		kind := types.ShardIteratorTypeAtSequenceNumber
		records := read(iterator(atNumber("clicks", shardID(0), kind, from)))
		equal(records, inShard0[1:])
	}},
	{14, "after number", func() {
		from := inShard0[1].SequenceNumber
		kind := types.ShardIteratorTypeAfterSequenceNumber
		records := read(iterator(atNumber("clicks", shardID(0), kind, from)))
		equal(records, inShard0[2:])
	}},
	{15, "at time", func() {
		from := inShard0[len(inShard0)-1].ApproximateArrivalTimestamp
		late := slices.DeleteFunc(slices.Clone(inShard0), func(r types.Record) bool {
			return r.ApproximateArrivalTimestamp.Before(*from)
		})
		input := at("clicks", shardID(0), types.ShardIteratorTypeAtTimestamp)
		input.Timestamp = from
		records := read(iterator(input))
		equal(records, late)
	}},
	{16, "latest", func() {
		tip := iterator(at("clicks", shardID(0), types.ShardIteratorTypeLatest))
		put(record("clicks", "new"))
		records := read(tip)
		equal(texts(records), []string{"new"})
	}},
	{17, "iterator again", func() {
		start := horizon("clicks", shardID(0))
		first, again := readOne(start), readOne(start)
		equal(texts(first.Records), []string{"first"})
		equal(again.Records, first.Records)
		assert(*first.NextShardIterator != *start, "the next iterator is the same")
		equal(texts(readOne(first.NextShardIterator).Records), []string{"plain"})
	}},
}

func split(stream, shard, key string) error {
	return second(client.SplitShard(ctx, &kinesis.SplitShardInput{
		StreamName: &stream, ShardToSplit: &shard, NewStartingHashKey: &key,
	}))
}

func merge(shard, adjacent string) error {
	return second(client.MergeShards(ctx, &kinesis.MergeShardsInput{
		StreamName: aws.String("clicks"), ShardToMerge: &shard, AdjacentShardToMerge: &adjacent,
	}))
}

var (
	moved []landed
	extra []int
)

var resharding = []step{
	{18, "split refused", func() {
		text := "NewStartingHashKey 1 used in SplitShard() on shard " + shardID(0) +
			" in stream clicks under account " + account + " is not both greater than one plus the" +
			" shard's StartingHashKey 0 and less than the shard's EndingHashKey " + before(half) + "."
		refused[*types.InvalidArgumentException](text, split("clicks", shardID(0), "1"))
	}},
	{19, "split", func() {
		must(0, split("clicks", shardID(0), quarter))
		untilActive("clicks")
		shards := shardsOf("clicks")
		equal(idsOf(shards), []string{shardID(0), shardID(1), shardID(2), shardID(3)})
		for index, shard := range shards {
			equal(isClosed(shard), index == 0)
		}
		equal(hashRange(shards[2].HashKeyRange), span{"0", before(quarter)})
		equal(hashRange(shards[3].HashKeyRange), span{quarter, before(half)})
		for _, child := range shards[2:] {
			equal(*child.ParentShardId, shardID(0))
			assert(child.AdjacentParentShardId == nil, "it has an adjacent parent")
		}
	}},
	{20, "closed", func() {
		text := "Shard " + shardID(0) + " in stream clicks under account " + account + " has already" +
			" been merged or split, and thus is not eligible for merging or splitting."
		refused[*types.InvalidArgumentException](text, split("clicks", shardID(0), quarter))
	}},
	{21, "move over", func() {
		moved = putUntil("clicks", shardID(2), "move")
		for _, one := range moved[:len(moved)-1] {
			equal(one.shard, shardID(0))
		}
	}},
	{22, "drain", func() {
		records, children := drain(horizon("clicks", shardID(0)))
		equal(childIDs(children), []string{shardID(2), shardID(3)})
		equal(hashRange(children[0].HashKeyRange), span{"0", before(quarter)})
		equal(hashRange(children[1].HashKeyRange), span{quarter, before(half)})
		for _, child := range children {
			equal(child.ParentShards, []string{shardID(0)})
		}
		following := read(horizon("clicks", shardID(2)))
		found := slices.DeleteFunc(texts(append(records, following...)), func(data string) bool {
			return !strings.HasPrefix(data, "move")
		})
		equal(found, dataOfLanded(moved))
	}},
	{23, "merge refused", func() {
		text := "Shards " + shardID(3) + " and " + shardID(2) + " in stream clicks under account " +
			account + " are not an adjacent pair of shards eligible for merging"
		refused[*types.InvalidArgumentException](text, merge(shardID(3), shardID(2)))
	}},
	{24, "merge", func() {
		must(0, merge(shardID(2), shardID(3)))
		untilActive("clicks")
		child := shardsOf("clicks")[4]
		equal(*child.ShardId, shardID(4))
		equal(hashRange(child.HashKeyRange), span{"0", before(half)})
		equal(*child.ParentShardId, shardID(2))
		equal(*child.AdjacentParentShardId, shardID(3))
		for _, parent := range []string{shardID(2), shardID(3)} {
			_, children := drain(horizon("clicks", parent))
			equal(childIDs(children), []string{shardID(4)})
			equal(children[0].ParentShards, []string{shardID(2), shardID(3)})
		}
	}},
	{25, "latest of a closed shard", func() {
		answer := readOne(iterator(at("clicks", shardID(2), types.ShardIteratorTypeLatest)))
		assert(answer.NextShardIterator == nil, "it goes on")
		equal(childIDs(answer.ChildShards), []string{shardID(4)})
	}},
	{26, "update shard count", func() {
		create("growing", 2)
		var entries []types.PutRecordsRequestEntry
		for n := range 200 {
			key, data := fmt.Sprint("key-", n), []byte(strconv.Itoa(n))
			entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: &key, Data: data})
		}
		many := &kinesis.PutRecordsInput{StreamName: aws.String("growing"), Records: entries}
		equal(*must(client.PutRecords(ctx, many)).FailedRecordCount, 0)
		answer := must(resize(client, "growing", 3))
		equal([]int32{*answer.CurrentShardCount, *answer.TargetShardCount}, []int32{2, 3})
		equal([]string{*answer.StreamName, *answer.StreamARN}, []string{"growing", arn("growing")})
		equal(*untilActive("growing").OpenShardCount, 3)
		shards := shardsOf("growing")
		equal(len(shards), 7)
		open := idsOf(slices.DeleteFunc(slices.Clone(shards), isClosed))
		for n := 200; ; n++ {
			input := record("growing", strconv.Itoa(n))
			input.PartitionKey = aws.String("key-0")
			extra = append(extra, n)
			if slices.Contains(open, *put(input).ShardId) {
				return
			}
		}
	}},
	{27, "drain the lineage", func() {
		shards := shardsOf("growing")
		var next, met []string
		known := map[string]types.Shard{}
		for _, shard := range shards {
			known[*shard.ShardId] = shard
			if shard.ParentShardId == nil {
				next = append(next, *shard.ShardId)
			}
		}
		var all, ofKey0 []int
		for len(next) > 0 {
			shard := next[0]
			next, met = next[1:], append(met, shard)
			var records []types.Record
			var children []types.ChildShard
			if isClosed(known[shard]) {
				records, children = drain(horizon("growing", shard))
			} else {
				records = read(horizon("growing", shard))
			}
			for _, record := range records {
				n := must(strconv.Atoi(string(record.Data)))
				all = append(all, n)
				if *record.PartitionKey == "key-0" {
					ofKey0 = append(ofKey0, n)
				}
			}
			for _, child := range children {
				unmet := func(parent string) bool { return !slices.Contains(met, parent) }
				if !slices.ContainsFunc(child.ParentShards, unmet) {
					next = append(next, *child.ShardId)
				}
			}
		}
		equal(slices.Sorted(slices.Values(met)), idsOf(shards))
		var expected []int
		for n := range 200 {
			expected = append(expected, n)
		}
		equal(slices.Sorted(slices.Values(all)), append(expected, extra...))
		equal(ofKey0, append([]int{0}, extra...))
	}},
	{28, "filters", func() {
		latest := filtered("growing", types.ShardFilter{Type: types.ShardFilterTypeAtLatest})
		equal(len(latest), 3)
		tiles(latest)
		tiles(filtered("growing", types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}))
		after := types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: aws.String(shardID(3))}
		equal(idsOf(filtered("growing", after)), []string{shardID(4), shardID(5), shardID(6)})
		var sizes []int
		for _, page := range shardPages("growing", 2) {
			sizes = append(sizes, len(page))
		}
		equal(sizes, []int{2, 2, 2, 1})
	}},
	{29, "too many at once", func() {
		refused[*types.LimitExceededException]("", second(resize(withoutRetries, "growing", 7)))
	}},
}

func resize(by *kinesis.Client, stream string, target int32) (*kinesis.UpdateShardCountOutput, error) {
	return by.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{
		StreamName: &stream, TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling,
	})
}

var (
	consumers    = map[string]string{}
	subscription *kinesis.SubscribeToShardEventStream
	continuation *string
	more         []landed
)

func describeConsumer(name string) (*kinesis.DescribeStreamConsumerOutput, error) {
	input := &kinesis.DescribeStreamConsumerInput{ConsumerARN: aws.String(consumers[name])}
	return client.DescribeStreamConsumer(ctx, input)
}

func register(name string) (*kinesis.RegisterStreamConsumerOutput, error) {
	return client.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{
		StreamARN: aws.String(arn("fan")), ConsumerName: &name,
	})
}

func subscribe(shard string, from types.StartingPosition) (*kinesis.SubscribeToShardEventStream, error) {
	answer, err := client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN: aws.String(consumers["reader"]), ShardId: &shard, StartingPosition: &from,
	})
	if err != nil {
		return nil, err
	}
	return answer.GetStream(), nil
}

// A subscription ends without an error, or with the SDK's word of its own close of the connection,
// which no server brings about; what came before is checked by what it holds.
func mustEnd(err error) {
	if !errors.Is(err, net.ErrClosed) {
		must(0, err)
	}
}

func nextEvent(events *kinesis.SubscribeToShardEventStream) *types.SubscribeToShardEvent {
	event, open := <-events.Events()
	if !open {
		mustEnd(events.Err())
		return nil
	}
	return &event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
}

// The next records of a subscription, and the last event's continuation number.
func nextRecords(events *kinesis.SubscribeToShardEventStream, count int) (data []string, last *string) {
	for len(data) < count {
		event := nextEvent(events)
		assert(event != nil, "the subscription ended")
		data = append(data, texts(event.Records)...)
		assert(event.ContinuationSequenceNumber != nil && *event.MillisBehindLatest >= 0, "no position")
		equal(len(event.ChildShards), 0)
		last = event.ContinuationSequenceNumber
	}
	return data, last
}

// The remaining records of a subscription to a shard that ends.
func toTheEnd(events *kinesis.SubscribeToShardEventStream) (data []string) {
	var last *types.SubscribeToShardEvent
	for event := nextEvent(events); event != nil; event = nextEvent(events) {
		assert(last == nil || len(last.ChildShards) == 0, "an event after the end")
		data = append(data, texts(event.Records)...)
		last = event
	}
	assert(last.ContinuationSequenceNumber == nil, "the end can be continued")
	equal(childIDs(last.ChildShards), []string{shardID(1), shardID(2)})
	for _, child := range last.ChildShards {
		equal(child.ParentShards, []string{shardID(0)})
	}
	return data
}

var fromHorizon = types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}

var fanOut = []step{
	{30, "register", func() {
		create("fan", 1)
		for _, name := range []string{"reader", "late"} {
			consumer := must(register(name)).Consumer
			equal(*consumer.ConsumerName, name)
			equal(consumer.ConsumerStatus, types.ConsumerStatusCreating)
			form := "^" + arn("fan") + "/consumer/" + name + ":[0-9]+$"
			assert(regexp.MustCompile(form).MatchString(*consumer.ConsumerARN), *consumer.ConsumerARN)
			consumers[name] = *consumer.ConsumerARN
			found := must(describeConsumer(name)).ConsumerDescription
			for found.ConsumerStatus != types.ConsumerStatusActive {
				time.Sleep(100 * time.Millisecond)
				found = must(describeConsumer(name)).ConsumerDescription
			}
			equal(*found.StreamARN, arn("fan"))
		}
		equal(*summary("fan").ConsumerCount, 2)
	}},
	{31, "registered twice", func() {
		refused[*types.ResourceInUseException]("", second(register("reader")))
		one := int32(1)
		var names []string
		paginator := kinesis.NewListStreamConsumersPaginator(client, &kinesis.ListStreamConsumersInput{
			StreamARN: aws.String(arn("fan")), MaxResults: &one,
		})
		for paginator.HasMorePages() {
			page := must(paginator.NextPage(ctx)).Consumers
			equal(len(page), 1)
			names = append(names, *page[0].ConsumerName)
		}
		equal(slices.Sorted(slices.Values(names)), []string{"late", "reader"})
	}},
	{32, "subscribe", func() {
		for _, data := range []string{"one", "two", "three"} {
			put(record("fan", data))
		}
		subscription = must(subscribe(shardID(0), fromHorizon))
		var found []string
		found, continuation = nextRecords(subscription, 3)
		equal(found, []string{"one", "two", "three"})
		put(record("fan", "pushed"))
		found, _ = nextRecords(subscription, 1)
		equal(found, []string{"pushed"})
	}},
	{33, "one subscription", func() {
		text := "Another active subscription exists for this consumer: " + account + ":fan:" +
			shardID(0) + ":reader"
		refused[*types.ResourceInUseException](text, second(subscribe(shardID(0), fromHorizon)))
	}},
	{34, "end of the shard", func() {
		must(0, split("fan", shardID(0), half))
		more = putUntil("fan", shardID(1), "more")
		equal(toTheEnd(subscription), dataOfLanded(more[:len(more)-1]))
	}},
	{35, "resubscribe", func() {
		position := types.StartingPosition{
			Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: continuation,
		}
		events, err := subscribe(shardID(0), position)
		var busy *types.ResourceInUseException
		var often *types.LimitExceededException
		for errors.As(err, &busy) || errors.As(err, &often) {
			time.Sleep(500 * time.Millisecond)
			events, err = subscribe(shardID(0), position)
		}
		ofParent := dataOfLanded(more[:len(more)-1])
		equal(toTheEnd(must(events, err)), append([]string{"pushed"}, ofParent...))
		child := must(subscribe(shardID(1), fromHorizon))
		found, _ := nextRecords(child, 1)
		equal(found, []string{more[len(more)-1].data})
		mustEnd(child.Close())
	}},
	{36, "consumers hold the stream", func() {
		input := &kinesis.DeleteStreamInput{StreamName: aws.String("fan")}
		refused[*types.ResourceInUseException]("", second(client.DeleteStream(ctx, input)))
	}},
	{37, "deregister", func() {
		input := &kinesis.DeregisterStreamConsumerInput{ConsumerARN: aws.String(consumers["reader"])}
		must(client.DeregisterStreamConsumer(ctx, input))
		_, err := describeConsumer("reader")
		for err == nil {
			time.Sleep(100 * time.Millisecond)
			_, err = describeConsumer("reader")
		}
		refused[*types.ResourceNotFoundException]("", err)
	}},
}

func megabyte(fill int) []byte { return bytes.Repeat([]byte{byte(fill)}, 1_000_000) }

var failed []int

var limits = []step{
	{38, "throttled entries", func() {
		shards, kib := int32(1), int32(10240)
		must(client.CreateStream(ctx, &kinesis.CreateStreamInput{
			StreamName: aws.String("limited"), ShardCount: &shards, MaxRecordSizeInKiB: &kib,
		}))
		untilActive("limited")
		var entries []types.PutRecordsRequestEntry
		for n := range 15 {
			entry := types.PutRecordsRequestEntry{PartitionKey: aws.String("a"), Data: megabyte(n)}
			entries = append(entries, entry)
		}
		many := func(entries []types.PutRecordsRequestEntry) *kinesis.PutRecordsOutput {
			input := &kinesis.PutRecordsInput{StreamName: aws.String("limited"), Records: entries}
			return must(client.PutRecords(ctx, input))
		}
		equal(*many(entries[:10]).FailedRecordCount, 0)
		answer := many(entries[10:])
		for place, result := range answer.Records {
			if result.ErrorCode == nil {
				assert(result.ShardId != nil && result.SequenceNumber != nil, "no number")
				assert(result.ErrorMessage == nil, "a text, but no code")
				continue
			}
			equal(*result.ErrorCode, "ProvisionedThroughputExceededException")
			equal(*result.ErrorMessage, throttled)
			assert(result.ShardId == nil && result.SequenceNumber == nil, "failed with a number")
			failed = append(failed, 10+place)
		}
		equal(len(answer.Records), 5)
		equal(int(*answer.FailedRecordCount), len(failed))
		assert(len(failed) > 0, "nothing was throttled")
	}},
	{39, "throttled call", func() {
		input := record("limited", string(make([]byte, 9_000_000)))
		_, err := withoutRetries.PutRecord(ctx, input)
		refused[*types.ProvisionedThroughputExceededException](throttled, err)
	}},
	{40, "retries", func() {
		for _, n := range failed {
			must(client.PutRecord(ctx, record("limited", string(megabyte(n)))))
		}
		records := read(horizon("limited", shardID(0)))
		equal(len(records), 15)
		found := map[[32]byte]bool{}
		for _, record := range records {
			found[sha256.Sum256(record.Data)] = true
		}
		for n := range 15 {
			assert(found[sha256.Sum256(megabyte(n))], "record ", n, " is missing")
		}
	}},
}

func streamTags(input *kinesis.ListTagsForStreamInput) (tags []string, more bool) {
	input.StreamName = aws.String("clicks")
	answer := must(client.ListTagsForStream(ctx, input))
	for _, tag := range answer.Tags {
		tags = append(tags, *tag.Key+"="+*tag.Value)
	}
	return tags, *answer.HasMoreTags
}

func resourceTags(resource string) (tags []string) {
	input := &kinesis.ListTagsForResourceInput{ResourceARN: &resource}
	for _, tag := range must(client.ListTagsForResource(ctx, input)).Tags {
		tags = append(tags, *tag.Key+"="+*tag.Value)
	}
	slices.Sort(tags)
	return tags
}

var settings = []step{
	{41, "tags of a stream", func() {
		must(client.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{
			StreamName: aws.String("clicks"), Tags: map[string]string{"env": "test", "owner": "ü"},
		}))
		two := int32(2)
		tags, more := streamTags(&kinesis.ListTagsForStreamInput{Limit: &two})
		equal(tags, []string{"env=test", "owner=ü"})
		equal(more, true)
		tags, more = streamTags(&kinesis.ListTagsForStreamInput{ExclusiveStartTagKey: aws.String("owner")})
		equal(tags, []string{"team=web"})
		equal(more, false)
		must(client.RemoveTagsFromStream(ctx, &kinesis.RemoveTagsFromStreamInput{
			StreamName: aws.String("clicks"), TagKeys: []string{"env", "none"},
		}))
		tags, _ = streamTags(&kinesis.ListTagsForStreamInput{})
		equal(tags, []string{"owner=ü", "team=web"})
	}},
	{42, "tags of a resource", func() {
		others := map[string][]string{arn("clicks"): {"owner=ü", "team=web"}, consumers["late"]: nil}
		for resource, others := range others {
			must(client.TagResource(ctx, &kinesis.TagResourceInput{
				ResourceARN: &resource, Tags: map[string]string{"cost": "1"},
			}))
			equal(resourceTags(resource), append([]string{"cost=1"}, others...))
			must(client.UntagResource(ctx, &kinesis.UntagResourceInput{
				ResourceARN: &resource, TagKeys: []string{"cost"},
			}))
			equal(resourceTags(resource), others)
		}
	}},
	{43, "policy", func() {
		resource := aws.String(arn("clicks"))
		found := func() string {
			input := &kinesis.GetResourcePolicyInput{ResourceARN: resource}
			return *must(client.GetResourcePolicy(ctx, input)).Policy
		}
		equal(found(), "{}")
		must(client.PutResourcePolicy(ctx, &kinesis.PutResourcePolicyInput{
			ResourceARN: resource, Policy: aws.String(policy),
		}))
		equal(found(), policy)
		input := &kinesis.DeleteResourcePolicyInput{ResourceARN: resource}
		must(client.DeleteResourcePolicy(ctx, input))
		equal(found(), "{}")
		_, err := client.DeleteResourcePolicy(ctx, input)
		refused[*types.ResourceNotFoundException]("", err)
	}},
	{44, "encryption", func() {
		key := aws.String("alias/aws/kinesis")
		must(client.StartStreamEncryption(ctx, &kinesis.StartStreamEncryptionInput{
			StreamName: aws.String("clicks"), EncryptionType: types.EncryptionTypeKms, KeyId: key,
		}))
		found := untilActive("clicks")
		equal(found.EncryptionType, types.EncryptionTypeKms)
		equal(*found.KeyId, *key)
		secret := put(recordAt(most, "clicks", "secret"))
		equal(secret.EncryptionType, types.EncryptionTypeKms)
		equal(*secret.ShardId, shardID(1))
		must(client.StopStreamEncryption(ctx, &kinesis.StopStreamEncryptionInput{
			StreamName: aws.String("clicks"), EncryptionType: types.EncryptionTypeKms, KeyId: key,
		}))
		found = untilActive("clicks")
		equal(found.EncryptionType, types.EncryptionTypeNone)
		assert(found.KeyId == nil, "a key is left")
		equal(put(recordAt(most, "clicks", "open")).EncryptionType, "")
		kind := types.ShardIteratorTypeAtSequenceNumber
		records := read(iterator(atNumber("clicks", shardID(1), kind, secret.SequenceNumber)))
		equal(texts(records), []string{"secret", "open"})
		equal(records[0].EncryptionType, types.EncryptionTypeKms)
		equal(records[1].EncryptionType, "")
	}},
	{45, "retention", func() {
		stream := aws.String("clicks")
		increase := func(hours int32) error {
			input := &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: stream, RetentionPeriodHours: &hours}
			return second(client.IncreaseStreamRetentionPeriod(ctx, input))
		}
		decrease := func(hours int32) error {
			input := &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: stream, RetentionPeriodHours: &hours}
			return second(client.DecreaseStreamRetentionPeriod(ctx, input))
		}
		must(0, increase(48))
		equal(*untilActive("clicks").RetentionPeriodHours, 48)
		text := "Requested retention period (24 hours) for stream clicks can not be shorter than" +
			" existing retention period (48 hours). Use DecreaseRetentionPeriod API."
		refused[*types.InvalidArgumentException](text, increase(24))
		text = "Maximum allowed retention period is 8760 hours." +
			" Requested retention period (9000 hours) is too long."
		refused[*types.InvalidArgumentException](text, increase(9000))
		must(0, decrease(24))
		equal(*untilActive("clicks").RetentionPeriodHours, 24)
		text = "Minimum allowed retention period is 24 hours." +
			" Requested retention period (12 hours) is too short."
		refused[*types.InvalidArgumentException](text, decrease(12))
	}},
	{46, "monitoring", func() {
		check := func(name, arnFound *string, current, desired, expectedCurrent, expectedDesired []types.MetricsName) {
			equal([]string{*name, *arnFound}, []string{"clicks", arn("clicks")})
			equal(slices.Sorted(slices.Values(current)), expectedCurrent)
			equal(slices.Sorted(slices.Values(desired)), expectedDesired)
			untilActive("clicks")
		}
		two := []types.MetricsName{types.MetricsNameIncomingBytes, types.MetricsNameOutgoingRecords}
		all := []types.MetricsName{types.MetricsNameAll}
		enable := func(names []types.MetricsName) *kinesis.EnableEnhancedMonitoringOutput {
			return must(client.EnableEnhancedMonitoring(ctx, &kinesis.EnableEnhancedMonitoringInput{
				StreamName: aws.String("clicks"), ShardLevelMetrics: names,
			}))
		}
		on := enable(two)
		check(on.StreamName, on.StreamARN, on.CurrentShardLevelMetrics, on.DesiredShardLevelMetrics, nil, two)
		on = enable(all)
		check(on.StreamName, on.StreamARN, on.CurrentShardLevelMetrics, on.DesiredShardLevelMetrics, two, metrics)
		found := summary("clicks").EnhancedMonitoring[0].ShardLevelMetrics
		equal(slices.Sorted(slices.Values(found)), metrics)
		off := must(client.DisableEnhancedMonitoring(ctx, &kinesis.DisableEnhancedMonitoringInput{
			StreamName: aws.String("clicks"), ShardLevelMetrics: all,
		}))
		check(off.StreamName, off.StreamARN, off.CurrentShardLevelMetrics, off.DesiredShardLevelMetrics, metrics, nil)
	}},
	{47, "record size", func() {
		text := "1 validation error detected: Value at 'data' failed to satisfy constraint:" +
			" Member must have length less than or equal to 1048576"
		_, err := client.PutRecord(ctx, record("clicks", string(make([]byte, 1_048_577))))
		refused[*types.ValidationException](text, err)
		kib := int32(10240)
		must(client.UpdateMaxRecordSize(ctx, &kinesis.UpdateMaxRecordSizeInput{
			StreamARN: aws.String(arn("clicks")), MaxRecordSizeInKiB: &kib,
		}))
		equal(*untilActive("clicks").MaxRecordSizeInKiB, kib)
		largest := bytes.Repeat(allBytes(), 40_960)
		answer := must(client.PutRecord(ctx, recordAt(most, "clicks", string(largest))))
		kind := types.ShardIteratorTypeAtSequenceNumber
		here := iterator(atNumber("clicks", *answer.ShardId, kind, answer.SequenceNumber))
		found := must(client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: here})).Records
		equal(len(found), 1)
		assert(bytes.Equal(found[0].Data, largest), "the largest record came back altered")
	}},
	{48, "mode", func() {
		switchTo := func(mode types.StreamMode) {
			must(client.UpdateStreamMode(ctx, &kinesis.UpdateStreamModeInput{
				StreamARN:         aws.String(arn("growing")),
				StreamModeDetails: &types.StreamModeDetails{StreamMode: mode},
			}))
			found := untilActive("growing")
			equal(found.StreamModeDetails.StreamMode, mode)
			equal(*found.OpenShardCount, 3)
		}
		switchTo(types.StreamModeOnDemand)
		text := "Request is invalid. Stream growing under account " + account + " is in On-Demand mode."
		refused[*types.ValidationException](text, split("growing", shardID(6), half))
		switchTo(types.StreamModeProvisioned)
	}},
	{49, "account", func() {
		found := must(client.DescribeLimits(ctx, &kinesis.DescribeLimitsInput{}))
		equal([]int32{*found.ShardLimit, *found.OpenShardCount}, []int32{20000, openShards()})
		equal([]int32{*found.OnDemandStreamCount, *found.OnDemandStreamCountLimit}, []int32{0, 50})
		account := must(client.DescribeAccountSettings(ctx, &kinesis.DescribeAccountSettingsInput{}))
		disabled := types.MinimumThroughputBillingCommitmentOutputStatusDisabled
		equal(account.MinimumThroughputBillingCommitment.Status, disabled)
	}},
}

func openShards() (count int32) {
	for _, stream := range []string{"clicks", "growing", "fan", "limited"} {
		count += *summary(stream).OpenShardCount
	}
	return count
}

var errorsByType = []step{
	{50, "dry run", func() {
		tip := iterator(at("clicks", shardID(1), types.ShardIteratorTypeLatest))
		input := record("clicks", "no")
		input.PartitionKey, input.DryRun = aws.String("z"), aws.Bool(true)
		refused[*types.DryRunOperationException]("", second(client.PutRecord(ctx, input)))
		records := read(tip)
		equal(len(records), 0)
	}},
	{51, "validation", func() {
		one := int32(1)
		input := &kinesis.CreateStreamInput{StreamName: aws.String("bad name"), ShardCount: &one}
		text := "1 validation error detected: Value 'bad name' at 'streamName' failed to satisfy" +
			" constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		refused[*types.ValidationException](text, second(client.CreateStream(ctx, input)))
	}},
	{52, "quota", func() {
		huge := int32(100_000)
		input := &kinesis.CreateStreamInput{StreamName: aws.String("huge"), ShardCount: &huge}
		text := "This request would exceed the shard limit for the account " + account +
			" in us-east-1. Current shard count for the account: " + fmt.Sprint(openShards()) +
			". Limit: 20000. Number of additional shards that would have resulted from this" +
			" request: 100000. Refer to the AWS Service Limits page" +
			" (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html)" +
			" for current limits and how to request higher limits."
		_, err := withoutRetries.CreateStream(ctx, input)
		refused[*types.LimitExceededException](text, err)
	}},
	{53, "nothing there", func() {
		text := "Stream missing under account " + account + " not found."
		_, err := client.PutRecord(ctx, record("missing", ""))
		refused[*types.ResourceNotFoundException](text, err)
		text = "Shard " + shardID(99) + " in stream clicks under account " + account + " does not exist"
		_, err = client.GetShardIterator(ctx, at("clicks", shardID(99), types.ShardIteratorTypeLatest))
		refused[*types.ResourceNotFoundException](text, err)
	}},
	{54, "bad arguments", func() {
		_, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAA")})
		refused[*types.InvalidArgumentException]("Invalid ShardIterator.", err)
		text := "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP." +
			" Current request has no timestamp parameter."
		input := at("clicks", shardID(1), types.ShardIteratorTypeAtTimestamp)
		refused[*types.InvalidArgumentException](text, second(client.GetShardIterator(ctx, input)))
	}},
	{55, "channels", func() {
		_, err := client.ListChannels(ctx, &kinesis.ListChannelsInput{})
		var answer smithy.APIError
		assert(errors.As(err, &answer), err)
		equal(answer.ErrorCode(), "UnknownOperationException")
	}},
}

var around = []step{
	{56, "another world", func() {
		provider := credentials.NewStaticCredentialsProvider("123456789012", "secret", "")
		other := connect(attempts(15), config.WithRegion("eu-west-1"), config.WithCredentialsProvider(provider))
		equal(len(must(other.ListStreams(ctx, &kinesis.ListStreamsInput{})).StreamNames), 0)
		one := int32(1)
		must(other.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("clicks"), ShardCount: &one}))
		waiter := kinesis.NewStreamExistsWaiter(other, func(o *kinesis.StreamExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = time.Second, time.Second
		})
		described := &kinesis.DescribeStreamInput{StreamName: aws.String("clicks")}
		found := must(waiter.WaitForOutput(ctx, described, time.Minute)).StreamDescription
		equal(*found.StreamARN, "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks")
		equal(*summary("clicks").StreamARN, arn("clicks"))
	}},
	{57, "TLS", func() {
		url := config.WithBaseEndpoint(os.Getenv("KINELOG_TLS_URL"))
		certificate := must(os.ReadFile(os.Getenv("KINELOG_TLS_CERTIFICATE")))
		secure := connect(attempts(15), url, config.WithCustomCABundle(bytes.NewReader(certificate)))
		input := &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("clicks")}
		found := must(secure.DescribeStreamSummary(ctx, input)).StreamDescriptionSummary
		equal(*found.StreamARN, arn("clicks"))
		tip := iterator(at("clicks", shardID(1), types.ShardIteratorTypeLatest))
		must(secure.PutRecord(ctx, recordAt(most, "clicks", "sealed")))
		records := readBy(secure, tip)
		equal(texts(records), []string{"sealed"})
		_, err := connect(url, attempts(1)).ListStreams(ctx, &kinesis.ListStreamsInput{})
		assert(err != nil && strings.Contains(err.Error(), "certificate signed by unknown authority"), err)
	}},
	{58, "delete with consumers", func() {
		must(client.DeleteStream(ctx, &kinesis.DeleteStreamInput{
			StreamName: aws.String("fan"), EnforceConsumerDeletion: aws.Bool(true),
		}))
		untilGone("fan")
		refused[*types.ResourceNotFoundException]("", second(describeConsumer("late")))
	}},
}

func main() {
	steps := slices.Concat(
		lifeCycle, writing, reading, resharding, fanOut, limits, settings, errorsByType, around,
	)
	var current step
	defer func() {
		if difference := recover(); difference != nil {
			fmt.Println(difference)
			fmt.Printf("FAILED %d %s\n%d passed, 1 failed\n", current.number, current.name, current.number-1)
			os.Exit(1)
		}
	}()
	for place, step := range steps {
		equal(step.number, place+1)
		current = step
		step.run()
		fmt.Printf("ok %d %s\n", step.number, step.name)
	}
	fmt.Printf("%d passed, 0 failed\n", len(steps))
}
