import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.FileInputStream;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.math.BigInteger;
import java.net.URI;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import org.reactivestreams.Subscriber;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.waiters.WaiterOverrideConfiguration;
import software.amazon.awssdk.http.apache5.Apache5HttpClient;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.StandardRetryStrategy;
import software.amazon.awssdk.retries.api.BackoffStrategy;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClientBuilder;
import software.amazon.awssdk.services.kinesis.KinesisBaseClientBuilder;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.KinesisClientBuilder;
import software.amazon.awssdk.services.kinesis.model.*;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.waiters.KinesisWaiter;

/**
 * The steps of scenario.md through the AWS SDK for Java v2, in CBOR.
 *
 * <p>{@code sync} uses the blocking client over HTTP/1.1, which cannot subscribe to shards; {@code
 * async} the one over HTTP/2 (Netty), each of whose calls is waited for.
 */
public final class Scenario {
  private static final String ACCOUNT = "000000000000";
  private static final BigInteger QUARTER = BigInteger.TWO.pow(126);
  private static final BigInteger HALF = BigInteger.TWO.pow(127);
  private static final BigInteger MOST = BigInteger.TWO.pow(128).subtract(BigInteger.ONE);
  private static final SdkBytes AGGREGATED =
      SdkBytes.fromByteArray(
          HexFormat.of().parseHex(
                  "f3899ac20a06757365722d310a06757365722d321a0708001a036f6e651a0708011a0374776f"
                      + "739579e92e3431b6e6d0e006dcba4a78"));
  private static final List<MetricsName> METRICS =
      List.of(
          MetricsName.INCOMING_BYTES,
          MetricsName.INCOMING_RECORDS,
          MetricsName.OUTGOING_BYTES,
          MetricsName.OUTGOING_RECORDS,
          MetricsName.WRITE_PROVISIONED_THROUGHPUT_EXCEEDED,
          MetricsName.READ_PROVISIONED_THROUGHPUT_EXCEEDED,
          MetricsName.ITERATOR_AGE_MILLISECONDS);
  private static final String POLICY =
      """
      {"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow",\
      "Principal":{"AWS":"arn:aws:iam::111122223333:root"},\
      "Action":["kinesis:DescribeStreamSummary","kinesis:GetRecords"],\
      "Resource":"arn:aws:kinesis:us-east-1:000000000000:stream/clicks"}]}""";

  private interface Body {
    void run() throws Exception;
  }

  private record Step(String name, Body body) {}

  private final List<Step> steps = new ArrayList<>();

  /** The client for subscriptions; null when calls block. */
  private final KinesisAsyncClient async;

  private final KinesisClient kinesis;
  private final KinesisClient withoutRetries;

  private Scenario(boolean isAsync) {
    async = isAsync ? asynchronous(attempts(15)) : null;
    kinesis = isAsync ? blocking(async) : connect(attempts(15));
    withoutRetries = connect(attempts(1));
    lifeCycle();
    writing();
    reading();
    resharding();
    fanOut();
    limits();
    settings();
    errorsByType();
    around();
  }

  /** A client that waits for each call of an asynchronous one. */
  private static KinesisClient blocking(KinesisAsyncClient client) {
    InvocationHandler wait =
        (proxy, method, arguments) -> {
          var takesRequest = arguments != null && arguments[0] instanceof KinesisRequest;
          if (!takesRequest || method.getName().endsWith("Paginator")) {
            return InvocationHandler.invokeDefault(proxy, method, arguments);
          }
          var called = client.getClass().getMethod(method.getName(), method.getParameterTypes());
          called.setAccessible(true);
          try {
            return ((CompletableFuture<?>) called.invoke(client, arguments)).join();
          } catch (CompletionException failure) {
            throw failure.getCause();
          }
        };
    var type = KinesisClient.class;
    return (KinesisClient) Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, wait);
  }

  private KinesisClient connect(Consumer<KinesisBaseClientBuilder<?, ?>> options) {
    if (async == null) {
      KinesisClientBuilder builder = KinesisClient.builder();
      options.accept(builder);
      return builder.build();
    }
    return blocking(asynchronous(options));
  }

  private static KinesisAsyncClient asynchronous(Consumer<KinesisBaseClientBuilder<?, ?>> options) {
    KinesisAsyncClientBuilder builder = KinesisAsyncClient.builder();
    options.accept(builder);
    return builder.build();
  }

  private static Consumer<KinesisBaseClientBuilder<?, ?>> attempts(int most) {
    var strategy = StandardRetryStrategy.builder().maxAttempts(most).build();
    return builder -> builder.overrideConfiguration(it -> it.retryStrategy(strategy));
  }

  private void step(int number, String name, Body body) {
    equal(number, steps.size() + 1);
    steps.add(new Step(name, body));
  }

  /** A step that needs subscriptions. */
  private void subscriptionStep(int number, String name, Body body) {
    step(number, name, async == null ? null : body);
  }

  private static void check(boolean holds, Object what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }

  private static void equal(Object found, Object expected) {
    check(Objects.equals(found, expected), "found " + found + ", expected " + expected);
  }

  /** The call raises this very exception, with that text unless null. */
  private static void refused(
      Class<? extends AwsServiceException> error, String text, Callable<?> call) throws Exception {
    try {
      call.call();
    } catch (AwsServiceException raised) {
      equal(raised.getClass(), error);
      equal(raised.statusCode(), 400);
      if (text != null) {
        equal(raised.awsErrorDetails().errorMessage(), text);
      }
      return;
    }
    throw new AssertionError("not refused with " + error);
  }

  private static String arn(String stream) {
    return "arn:aws:kinesis:us-east-1:" + ACCOUNT + ":stream/" + stream;
  }

  private static String shardId(int number) {
    return String.format("shardId-%012d", number);
  }

  private static SdkBytes bytes(String text) {
    return SdkBytes.fromUtf8String(text);
  }

  private static List<String> texts(List<Record> records) {
    return records.stream().map(it -> new String(it.data().asByteArray(), UTF_8)).toList();
  }

  private void create(String stream, int shards) throws Exception {
    kinesis.createStream(it -> it.streamName(stream).shardCount(shards));
    untilActive(stream);
  }

  private StreamDescriptionSummary summary(String stream) {
    var answer = kinesis.describeStreamSummary(it -> it.streamName(stream));
    return answer.streamDescriptionSummary();
  }

  private StreamDescriptionSummary untilActive(String stream) throws Exception {
    var found = summary(stream);
    while (found.streamStatus() != StreamStatus.ACTIVE) {
      Thread.sleep(100);
      found = summary(stream);
    }
    return found;
  }

  private static Consumer<PutRecordRequest.Builder> record(String stream, String data) {
    return it -> it.streamName(stream).partitionKey("a").data(bytes(data));
  }

  private PutRecordResponse put(String stream, String data) {
    return kinesis.putRecord(record(stream, data));
  }

  private PutRecordResponse putAt(BigInteger hashKey, String stream, String data) {
    var record = record(stream, data);
    return kinesis.putRecord(record.andThen(it -> it.explicitHashKey(hashKey.toString())));
  }

  private record Landed(String shard, String data) {}

  /** Puts {@code word 1}, {@code word 2}, ... until one lands in the shard. */
  private List<Landed> putUntil(String stream, String shard, String word) {
    var landed = new ArrayList<Landed>();
    for (int number = 1; ; number++) {
      var data = word + " " + number;
      landed.add(new Landed(putAt(BigInteger.ZERO, stream, data).shardId(), data));
      if (landed.get(number - 1).shard.equals(shard)) {
        return landed;
      }
    }
  }

  private static List<String> dataOf(List<Landed> landed) {
    return landed.stream().map(Landed::data).toList();
  }

  private static <T> List<T> allButLast(List<T> list) {
    return list.subList(0, list.size() - 1);
  }

  private static <T> T last(List<T> list) {
    return list.get(list.size() - 1);
  }

  private String iterator(
      String stream, String shard, ShardIteratorType type, Consumer<GetShardIteratorRequest.Builder> more) {
    Consumer<GetShardIteratorRequest.Builder> request =
        it -> it.streamName(stream).shardId(shard).shardIteratorType(type);
    return kinesis.getShardIterator(request.andThen(more)).shardIterator();
  }

  private String iterator(String stream, String shard, ShardIteratorType type) {
    return iterator(stream, shard, type, it -> {});
  }

  private String horizon(String stream, String shard) {
    return iterator(stream, shard, ShardIteratorType.TRIM_HORIZON);
  }

  /** Records up to the tip. */
  private static List<Record> read(KinesisClient reader, String first) {
    var records = new ArrayList<Record>();
    var at = first;
    while (true) {
      var now = at;
      var answer = reader.getRecords(it -> it.shardIterator(now));
      records.addAll(answer.records());
      check(!answer.hasChildShards(), "children before the end");
      if (answer.records().isEmpty() && answer.millisBehindLatest() == 0) {
        return records;
      }
      at = answer.nextShardIterator();
    }
  }

  private record Drained(List<Record> records, List<ChildShard> children) {}

  /** Records up to the end, and the children told there. */
  private Drained drain(String first) throws InterruptedException {
    var records = new ArrayList<Record>();
    var at = first;
    while (true) {
      var now = at;
      var answer = kinesis.getRecords(it -> it.shardIterator(now));
      records.addAll(answer.records());
      at = answer.nextShardIterator();
      if (at == null) {
        return new Drained(records, answer.childShards());
      }
      check(!answer.hasChildShards(), "children before the end");
      Thread.sleep(200);
    }
  }

  private List<Record> read(String at) {
    return read(kinesis, at);
  }

  private List<Shard> shardsOf(String stream) {
    return kinesis.listShards(it -> it.streamName(stream)).shards();
  }

  private static List<String> idsOf(List<Shard> shards) {
    return shards.stream().map(Shard::shardId).toList();
  }

  private static List<String> childIds(List<ChildShard> children) {
    return children.stream().map(ChildShard::shardId).toList();
  }

  private List<List<String>> shardPages(String stream, int size) {
    var pages = new ArrayList<List<String>>();
    var answer = kinesis.listShards(it -> it.streamName(stream).maxResults(size));
    while (true) {
      pages.add(idsOf(answer.shards()));
      var token = answer.nextToken();
      if (token == null) {
        return pages;
      }
      answer = kinesis.listShards(it -> it.nextToken(token).maxResults(size));
    }
  }

  private static boolean isClosed(Shard shard) {
    return shard.sequenceNumberRange().endingSequenceNumber() != null;
  }

  private static List<BigInteger> span(HashKeyRange keys) {
    return List.of(new BigInteger(keys.startingHashKey()), new BigInteger(keys.endingHashKey()));
  }

  private static List<BigInteger> span(BigInteger start, BigInteger next) {
    return List.of(start, next.subtract(BigInteger.ONE));
  }

  /** The shards cover the key space without hole or overlap. */
  private static void tiles(List<Shard> shards) {
    var expected = BigInteger.ZERO;
    var ranges = new TreeMap<BigInteger, BigInteger>();
    shards.forEach(it -> ranges.put(span(it.hashKeyRange()).get(0), span(it.hashKeyRange()).get(1)));
    equal(ranges.size(), shards.size());
    for (var range : ranges.entrySet()) {
      equal(range.getKey(), expected);
      expected = range.getValue().add(BigInteger.ONE);
    }
    equal(expected, MOST.add(BigInteger.ONE));
  }

  private static void isRecent(Instant time) {
    check(Duration.between(time, Instant.now()).abs().toHours() < 1, time);
  }

  private static WaiterOverrideConfiguration everySecond() {
    var second = BackoffStrategy.fixedDelayWithoutJitter(Duration.ofSeconds(1));
    return WaiterOverrideConfiguration.builder().maxAttempts(60).backoffStrategyV2(second).build();
  }

  private static void waitForExistence(KinesisClient client, String stream) {
    try (var waiter = KinesisWaiter.builder().client(client).build()) {
      waiter.waitUntilStreamExists(
          DescribeStreamRequest.builder().streamName(stream).build(), everySecond());
    }
  }

  private void waitForAbsence(String stream) {
    try (var waiter = KinesisWaiter.builder().client(kinesis).build()) {
      waiter.waitUntilStreamNotExists(
          DescribeStreamRequest.builder().streamName(stream).build(), everySecond());
    }
  }

  private Instant createdAt;

  private void lifeCycle() {
    step(1, "create", () -> {
      var tags = Map.of("team", "web");
      kinesis.createStream(it -> it.streamName("clicks").shardCount(2).tags(tags));
      waitForExistence(kinesis, "clicks");
    });
    step(2, "name taken", () ->
        refused(ResourceInUseException.class,
            "Stream clicks under account " + ACCOUNT + " already exists.",
            () -> kinesis.createStream(it -> it.streamName("clicks").shardCount(2))));
    step(3, "describe", () -> {
      var answer = kinesis.describeStream(it -> it.streamName("clicks"));
      var found = answer.streamDescription();
      equal(found.streamARN(), arn("clicks"));
      equal(found.streamStatus(), StreamStatus.ACTIVE);
      equal(found.streamModeDetails().streamMode(), StreamMode.PROVISIONED);
      equal(found.retentionPeriodHours(), 24);
      equal(found.encryptionType(), EncryptionType.NONE);
      equal(found.enhancedMonitoring().size(), 1);
      equal(found.enhancedMonitoring().get(0).shardLevelMetrics(), List.of());
      equal(found.hasMoreShards(), false);
      equal(idsOf(found.shards()), List.of(shardId(0), shardId(1)));
      equal(span(found.shards().get(0).hashKeyRange()), span(BigInteger.ZERO, HALF));
      equal(span(found.shards().get(1).hashKeyRange()), List.of(HALF, MOST));
      for (var shard : found.shards()) {
        equal(shard.sequenceNumberRange().startingSequenceNumber().length(), 56);
        check(!isClosed(shard), "a new shard is closed");
        equal(shard.parentShardId(), null);
        equal(shard.adjacentParentShardId(), null);
      }
      createdAt = found.streamCreationTimestamp();
      isRecent(createdAt);
    });
    step(4, "summary", () -> {
      var answer = kinesis.describeStreamSummary(it -> it.streamARN(arn("clicks")));
      var found = answer.streamDescriptionSummary();
      equal(found.streamName(), "clicks");
      equal(found.openShardCount(), 2);
      equal(found.consumerCount(), 0);
      equal(found.maxRecordSizeInKiB(), 1024);
      equal(found.streamCreationTimestamp(), createdAt);
      equal(found.streamId(), null);
    });
    step(5, "list", () -> {
      create("archive", 1);
      var pages = kinesis.listStreamsPaginator(it -> it.limit(1));
      var names = pages.stream().map(ListStreamsResponse::streamNames).toList();
      equal(names, List.of(List.of("archive"), List.of("clicks")));
    });
    step(6, "delete", () -> {
      kinesis.deleteStream(it -> it.streamName("archive"));
      waitForAbsence("archive");
      refused(ResourceNotFoundException.class,
          "Stream archive under account " + ACCOUNT + " not found.",
          () -> kinesis.describeStream(it -> it.streamName("archive")));
    });
    step(7, "pages", () -> {
      equal(shardPages("clicks", 1), List.of(List.of(shardId(0)), List.of(shardId(1))));
      var token = kinesis.listShards(it -> it.streamName("clicks").maxResults(1)).nextToken();
      refused(InvalidArgumentException.class,
          "NextToken and StreamName cannot be provided together.",
          () -> kinesis.listShards(it -> it.streamName("clicks").nextToken(token)));
      var answer = kinesis.describeStream(it -> it.streamName("clicks").limit(1));
      equal(answer.streamDescription().shards().size(), 1);
      equal(answer.streamDescription().hasMoreShards(), true);
    });
  }

  /** What steps 8 to 11 put. */
  private record Stored(String shard, String number, String key, SdkBytes data) {}

  private final List<Stored> written = new ArrayList<>();

  private void remember(
      String shard, String number, EncryptionType encryption, int expected, String key, SdkBytes data) {
    equal(shard, shardId(expected));
    equal(encryption, null);
    written.add(new Stored(shard, number, key, data));
  }

  private void remember(PutRecordResponse answer, int expected, String key, String data) {
    remember(
        answer.shardId(),
        answer.sequenceNumber(),
        answer.encryptionType(),
        expected,
        key,
        bytes(data));
  }

  private static byte[] allBytes() {
    var all = new byte[256];
    IntStream.range(0, 256).forEach(at -> all[at] = (byte) at);
    return all;
  }

  private static void isAbove(String number, String other) {
    check(new BigInteger(number).compareTo(new BigInteger(other)) > 0, number);
  }

  private void writing() {
    step(8, "put", () -> {
      var start = shardsOf("clicks").get(0).sequenceNumberRange().startingSequenceNumber();
      var answer = put("clicks", "first");
      remember(answer, 0, "a", "first");
      isAbove(answer.sequenceNumber(), start);
    });
    step(9, "explicit hash key", () -> remember(putAt(MOST, "clicks", "last"), 1, "a", "last"));
    step(10, "put many", () -> {
      record Entry(String key, String hashKey, SdkBytes data, int shard) {}
      var entries =
          List.of(
              new Entry("pk", null, bytes("plain"), 0),
              new Entry("ü", null, bytes(""), 1),
              new Entry("🦆 duck", null, bytes("quack 🦆"), 1),
              new Entry("日本", null, SdkBytes.fromByteArray(allBytes()), 0),
              new Entry("a", "0", AGGREGATED, 0));
      var records =
          entries.stream().map(
                  it -> PutRecordsRequestEntry.builder().partitionKey(it.key)
                          .explicitHashKey(it.hashKey).data(it.data).build()).toList();
      var answer = kinesis.putRecords(it -> it.streamName("clicks").records(records));
      equal(answer.failedRecordCount(), 0);
      equal(answer.records().size(), entries.size());
      for (int place = 0; place < entries.size(); place++) {
        var result = answer.records().get(place);
        var entry = entries.get(place);
        equal(result.errorCode(), null);
        equal(result.errorMessage(), null);
        remember(
            result.shardId(),
            result.sequenceNumber(),
            answer.encryptionType(),
            entry.shard,
            entry.key,
            entry.data);
      }
    });
    step(11, "ordering", () -> {
      var plain = written.get(2).number;
      var record = record("clicks", "later");
      var answer =
          kinesis.putRecord(
              record.andThen(it -> it.partitionKey("pk").sequenceNumberForOrdering(plain)));
      isAbove(answer.sequenceNumber(), plain);
      remember(answer, 0, "pk", "later");
    });
  }

  private List<Record> inShard0;

  private List<Record> readFrom(
      ShardIteratorType type, Consumer<GetShardIteratorRequest.Builder> more) {
    return read(iterator("clicks", shardId(0), type, more));
  }

  private void reading() {
    step(12, "trim horizon", () -> {
      for (var shard : List.of(shardId(1), shardId(0))) {
        var records = read(horizon("clicks", shard));
        var found =
            records.stream()
                .map(it -> new Stored(shard, it.sequenceNumber(), it.partitionKey(), it.data()))
                .toList();
        equal(found, written.stream().filter(it -> it.shard.equals(shard)).toList());
        var times = records.stream().map(Record::approximateArrivalTimestamp).toList();
        equal(times, times.stream().sorted().toList());
        isRecent(times.get(0));
        records.forEach(it -> equal(it.encryptionType(), null));
        inShard0 = records;
      }
    });
    step(13, "at number", () -> {
      var number = inShard0.get(1).sequenceNumber();
      equal(
          readFrom(
              ShardIteratorType.AT_SEQUENCE_NUMBER, it -> it.startingSequenceNumber(number)),
          inShard0.subList(1, inShard0.size()));
    });
    step(14, "after number", () -> {
      var number = inShard0.get(1).sequenceNumber();
      equal(
          readFrom(
              ShardIteratorType.AFTER_SEQUENCE_NUMBER, it -> it.startingSequenceNumber(number)),
          inShard0.subList(2, inShard0.size()));
    });
    step(15, "at time", () -> {
      var time = last(inShard0).approximateArrivalTimestamp();
      var late =
          inShard0.stream()
              .filter(it -> !it.approximateArrivalTimestamp().isBefore(time))
              .toList();
      equal(readFrom(ShardIteratorType.AT_TIMESTAMP, it -> it.timestamp(time)), late);
    });
    step(16, "latest", () -> {
      var at = iterator("clicks", shardId(0), ShardIteratorType.LATEST);
      put("clicks", "new");
      equal(texts(read(at)), List.of("new"));
    });
    step(17, "iterator again", () -> {
      var at = horizon("clicks", shardId(0));
      var first = kinesis.getRecords(it -> it.shardIterator(at).limit(1));
      var again = kinesis.getRecords(it -> it.shardIterator(at).limit(1));
      equal(texts(first.records()), List.of("first"));
      equal(again.records(), first.records());
      check(!first.nextShardIterator().equals(at), "the next iterator is the same");
      var next =
          kinesis.getRecords(it -> it.shardIterator(first.nextShardIterator()).limit(1));
      equal(texts(next.records()), List.of("plain"));
    });
  }

  private SplitShardResponse split(String stream, String shard, BigInteger key) {
    return kinesis.splitShard(
        it -> it.streamName(stream).shardToSplit(shard).newStartingHashKey(key.toString()));
  }

  private MergeShardsResponse merge(String shard, String adjacent) {
    return kinesis.mergeShards(
        it -> it.streamName("clicks").shardToMerge(shard).adjacentShardToMerge(adjacent));
  }

  private UpdateShardCountResponse resize(KinesisClient client, int target) {
    return client.updateShardCount(
        it -> it.streamName("growing").targetShardCount(target)
                .scalingType(ScalingType.UNIFORM_SCALING));
  }

  private List<Landed> moved;
  private final List<Integer> extra = new ArrayList<>();

  private void resharding() {
    step(18, "split refused", () ->
        refused(InvalidArgumentException.class,
            "NewStartingHashKey 1 used in SplitShard() on shard " + shardId(0)
                + " in stream clicks under account " + ACCOUNT
                + " is not both greater than one plus the shard's StartingHashKey 0 and less"
                + " than the shard's EndingHashKey " + HALF.subtract(BigInteger.ONE) + ".",
            () -> split("clicks", shardId(0), BigInteger.ONE)));
    step(19, "split", () -> {
      split("clicks", shardId(0), QUARTER);
      untilActive("clicks");
      var shards = shardsOf("clicks");
      equal(idsOf(shards), IntStream.range(0, 4).mapToObj(Scenario::shardId).toList());
      var closed = shards.stream().map(Scenario::isClosed).toList();
      equal(closed, List.of(true, false, false, false));
      equal(span(shards.get(2).hashKeyRange()), span(BigInteger.ZERO, QUARTER));
      equal(span(shards.get(3).hashKeyRange()), span(QUARTER, HALF));
      for (var child : shards.subList(2, 4)) {
        equal(child.parentShardId(), shardId(0));
        equal(child.adjacentParentShardId(), null);
      }
    });
    step(20, "closed", () ->
        refused(InvalidArgumentException.class,
            "Shard " + shardId(0) + " in stream clicks under account " + ACCOUNT
                + " has already been merged or split, and thus is not eligible for merging or"
                + " splitting.",
            () -> split("clicks", shardId(0), QUARTER)));
    step(21, "move over", () -> {
      moved = putUntil("clicks", shardId(2), "move");
      allButLast(moved).forEach(it -> equal(it.shard, shardId(0)));
    });
    step(22, "drain", () -> {
      var parent = drain(horizon("clicks", shardId(0)));
      equal(childIds(parent.children), List.of(shardId(2), shardId(3)));
      equal(span(parent.children.get(0).hashKeyRange()), span(BigInteger.ZERO, QUARTER));
      equal(span(parent.children.get(1).hashKeyRange()), span(QUARTER, HALF));
      parent.children.forEach(it -> equal(it.parentShards(), List.of(shardId(0))));
      var child = read(horizon("clicks", shardId(2)));
      var found =
          Stream.of(parent.records, child)
              .flatMap(it -> texts(it).stream())
              .filter(it -> it.startsWith("move"))
              .toList();
      equal(found, dataOf(moved));
    });
    step(23, "merge refused", () ->
        refused(InvalidArgumentException.class,
            "Shards " + shardId(3) + " and " + shardId(2) + " in stream clicks under account "
                + ACCOUNT + " are not an adjacent pair of shards eligible for merging",
            () -> merge(shardId(3), shardId(2))));
    step(24, "merge", () -> {
      merge(shardId(2), shardId(3));
      untilActive("clicks");
      var child = shardsOf("clicks").get(4);
      equal(child.shardId(), shardId(4));
      equal(span(child.hashKeyRange()), span(BigInteger.ZERO, HALF));
      equal(child.parentShardId(), shardId(2));
      equal(child.adjacentParentShardId(), shardId(3));
      for (var parent : List.of(shardId(2), shardId(3))) {
        var children = drain(horizon("clicks", parent)).children;
        equal(childIds(children), List.of(shardId(4)));
        equal(children.get(0).parentShards(), List.of(shardId(2), shardId(3)));
      }
    });
    step(25, "latest of a closed shard", () -> {
      var at = iterator("clicks", shardId(2), ShardIteratorType.LATEST);
      var answer = kinesis.getRecords(it -> it.shardIterator(at));
      equal(answer.nextShardIterator(), null);
      equal(childIds(answer.childShards()), List.of(shardId(4)));
    });
    step(26, "update shard count", this::updateShardCount);
    step(27, "drain the lineage", this::drainLineage);
    step(28, "filters", () -> {
      var latest = filtered(it -> it.type(ShardFilterType.AT_LATEST));
      equal(latest.size(), 3);
      tiles(latest);
      tiles(filtered(it -> it.type(ShardFilterType.AT_TRIM_HORIZON)));
      var after = filtered(it -> it.type(ShardFilterType.AFTER_SHARD_ID).shardId(shardId(3)));
      equal(idsOf(after), List.of(shardId(4), shardId(5), shardId(6)));
      var sizes = shardPages("growing", 2).stream().map(List::size).toList();
      equal(sizes, List.of(2, 2, 2, 1));
    });
    step(29, "too many at once", () ->
        refused(LimitExceededException.class, null, () -> resize(withoutRetries, 7)));
  }

  private static PutRecordsRequestEntry entry(String key, SdkBytes data) {
    return PutRecordsRequestEntry.builder().partitionKey(key).data(data).build();
  }

  private List<Shard> filtered(Consumer<ShardFilter.Builder> filter) {
    return kinesis.listShards(it -> it.streamName("growing").shardFilter(filter)).shards();
  }

  private void updateShardCount() throws Exception {
    create("growing", 2);
    var records = IntStream.range(0, 200).mapToObj(it -> entry("key-" + it, bytes("" + it))).toList();
    var put = kinesis.putRecords(it -> it.streamName("growing").records(records));
    equal(put.failedRecordCount(), 0);
    var answer = resize(kinesis, 3);
    equal(answer.currentShardCount(), 2);
    equal(answer.targetShardCount(), 3);
    equal(answer.streamName(), "growing");
    equal(answer.streamARN(), arn("growing"));
    equal(untilActive("growing").openShardCount(), 3);
    var shards = shardsOf("growing");
    equal(shards.size(), 7);
    var open = idsOf(shards.stream().filter(it -> !isClosed(it)).toList());
    String landed;
    do {
      extra.add(200 + extra.size());
      var record = record("growing", "" + last(extra));
      landed = kinesis.putRecord(record.andThen(it -> it.partitionKey("key-0"))).shardId();
    } while (!open.contains(landed));
  }

  private void drainLineage() throws Exception {
    var shards = shardsOf("growing");
    var roots = shards.stream().filter(it -> it.parentShardId() == null).toList();
    var next = new ArrayList<>(idsOf(roots));
    var met = new ArrayList<String>();
    var records = new ArrayList<Record>();
    while (!next.isEmpty()) {
      var shard = next.remove(0);
      met.add(shard);
      var at = horizon("growing", shard);
      var isOpen = shards.stream().anyMatch(it -> it.shardId().equals(shard) && !isClosed(it));
      var found = isOpen ? new Drained(read(at), List.of()) : drain(at);
      records.addAll(found.records);
      for (var child : found.children) {
        if (met.containsAll(child.parentShards())) {
          next.add(child.shardId());
        }
      }
    }
    equal(met.stream().sorted().toList(), idsOf(shards));
    var numbers = texts(records).stream().map(Integer::valueOf).sorted().toList();
    equal(numbers, IntStream.range(0, 200 + extra.size()).boxed().toList());
    var ofKey0 = records.stream().filter(it -> it.partitionKey().equals("key-0")).toList();
    var expected = new ArrayList<>(List.of(0));
    expected.addAll(extra);
    equal(texts(ofKey0).stream().map(Integer::valueOf).toList(), expected);
  }

  /** One subscription, asked for one event at a time. */
  private static final class Subscription implements Subscriber<SubscribeToShardEventStream> {
    private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
    private final CompletableFuture<Void> accepted = new CompletableFuture<>();
    private org.reactivestreams.Subscription events;

    @Override
    public void onSubscribe(org.reactivestreams.Subscription subscription) {
      events = subscription;
      accepted.complete(null);
    }

    @Override
    public void onNext(SubscribeToShardEventStream event) {
      arrived.add(event);
    }

    @Override
    public void onError(Throwable failure) {
      arrived.add(failure);
    }

    @Override
    public void onComplete() {
      arrived.add("end");
    }

    /** The next event; null at a clean end. */
    SubscribeToShardEvent next() throws InterruptedException {
      events.request(1);
      var next = arrived.take();
      if (next instanceof Throwable failure) {
        throw new AssertionError("the subscription failed", failure);
      }
      return next instanceof SubscribeToShardEvent event ? event : null;
    }

    /** Texts of the next records and, behind them, the last event's continuation number. */
    List<String> next(int count) throws InterruptedException {
      var found = new ArrayList<String>();
      String continuation = null;
      while (found.size() < count) {
        var event = next();
        check(event != null, "the subscription ended");
        found.addAll(texts(event.records()));
        check(event.millisBehindLatest() >= 0 && !event.hasChildShards(), event);
        continuation = event.continuationSequenceNumber();
        check(continuation != null, event);
      }
      found.add(continuation);
      return found;
    }

    /** The remaining records of a subscription to a shard that ends. */
    List<String> toTheEnd() throws InterruptedException {
      var found = new ArrayList<String>();
      SubscribeToShardEvent last = null;
      for (var event = next(); event != null; event = next()) {
        check(last == null || !last.hasChildShards(), "an event after the end");
        found.addAll(texts(event.records()));
        last = event;
      }
      equal(last.continuationSequenceNumber(), null);
      equal(childIds(last.childShards()), List.of(shardId(1), shardId(2)));
      last.childShards().forEach(it -> equal(it.parentShards(), List.of(shardId(0))));
      return found;
    }
  }

  private Subscription subscribe(String shard, Consumer<StartingPosition.Builder> from)
      throws Exception {
    var subscription = new Subscription();
    var handler =
        SubscribeToShardResponseHandler.builder()
            .onEventStream(events -> events.subscribe(subscription))
            .onError(failure -> {})
            .build();
    var call =
        async.subscribeToShard(
            it -> it.consumerARN(consumers.get("reader")).shardId(shard).startingPosition(from),
            handler);
    try {
      CompletableFuture.anyOf(subscription.accepted, call).join();
    } catch (CompletionException failure) {
      throw (Exception) failure.getCause();
    }
    return subscription;
  }

  private static final Consumer<StartingPosition.Builder> FROM_HORIZON =
      it -> it.type(ShardIteratorType.TRIM_HORIZON);

  private final Map<String, String> consumers = new HashMap<>();
  private Subscription subscription;
  private String continuation;
  private List<Landed> more;

  private ConsumerDescription describeConsumer(String name) {
    var arn = consumers.get(name);
    return kinesis.describeStreamConsumer(it -> it.consumerARN(arn)).consumerDescription();
  }

  private void fanOut() {
    step(30, "register", this::register);
    step(31, "registered twice", () -> {
      refused(ResourceInUseException.class,
          null,
          () -> kinesis.registerStreamConsumer(
                  it -> it.streamARN(arn("fan")).consumerName("reader")));
      var pages =
          kinesis.listStreamConsumersPaginator(it -> it.streamARN(arn("fan")).maxResults(1));
      var names = new HashSet<List<String>>();
      pages.forEach(
          page -> names.add(page.consumers().stream().map(it -> it.consumerName()).toList()));
      equal(names, Set.of(List.of("late"), List.of("reader")));
    });
    subscriptionStep(32, "subscribe", () -> {
      List.of("one", "two", "three").forEach(it -> put("fan", it));
      subscription = subscribe(shardId(0), FROM_HORIZON);
      var found = subscription.next(3);
      continuation = last(found);
      equal(allButLast(found), List.of("one", "two", "three"));
      put("fan", "pushed");
      equal(subscription.next(1).get(0), "pushed");
    });
    subscriptionStep(33, "one subscription", () -> refused(ResourceInUseException.class,
            "Another active subscription exists for this consumer: " + ACCOUNT + ":fan:"
                + shardId(0) + ":reader",
            () -> subscribe(shardId(0), FROM_HORIZON)));
    subscriptionStep(34, "end of the shard", () -> {
      split("fan", shardId(0), HALF);
      more = putUntil("fan", shardId(1), "more");
      equal(subscription.toTheEnd(), dataOf(allButLast(more)));
    });
    subscriptionStep(35, "resubscribe", () -> {
      var expected = new ArrayList<>(List.of("pushed"));
      expected.addAll(dataOf(allButLast(more)));
      equal(subscribeOnceFree().toTheEnd(), expected);
      var child = subscribe(shardId(1), FROM_HORIZON);
      equal(child.next(1).get(0), last(more).data);
      child.events.cancel();
    });
    step(36, "consumers hold the stream", () ->
        refused(ResourceInUseException.class,
            null,
            () -> kinesis.deleteStream(it -> it.streamName("fan"))));
    step(37, "deregister", () -> {
      kinesis.deregisterStreamConsumer(it -> it.consumerARN(consumers.get("reader")));
      try {
        while (true) {
          describeConsumer("reader");
          Thread.sleep(100);
        }
      } catch (ResourceNotFoundException gone) {
        equal(gone.statusCode(), 400);
      }
    });
  }

  private void register() throws Exception {
    create("fan", 1);
    for (var name : List.of("reader", "late")) {
      var consumer =
          kinesis
              .registerStreamConsumer(it -> it.streamARN(arn("fan")).consumerName(name))
              .consumer();
      equal(consumer.consumerName(), name);
      equal(consumer.consumerStatus(), ConsumerStatus.CREATING);
      var form = arn("fan") + "/consumer/" + name + ":[0-9]+";
      check(consumer.consumerARN().matches(form), consumer);
      consumers.put(name, consumer.consumerARN());
      while (describeConsumer(name).consumerStatus() != ConsumerStatus.ACTIVE) {
        Thread.sleep(100);
      }
      equal(describeConsumer(name).streamARN(), arn("fan"));
    }
    equal(summary("fan").consumerCount(), 2);
  }

  private Subscription subscribeOnceFree() throws Exception {
    while (true) {
      try {
        return subscribe(
            shardId(0),
            it -> it.type(ShardIteratorType.AFTER_SEQUENCE_NUMBER).sequenceNumber(continuation));
      } catch (ResourceInUseException | LimitExceededException busy) {
        Thread.sleep(500);
      }
    }
  }

  private static final String THROTTLED =
      "Rate exceeded for shard shardId-000000000000 in stream limited under account " + ACCOUNT
          + ".";

  private final List<Integer> failed = new ArrayList<>();

  private static SdkBytes megabyte(int fill) {
    var data = new byte[1_000_000];
    Arrays.fill(data, (byte) fill);
    return SdkBytes.fromByteArray(data);
  }

  private static String digest(SdkBytes data) {
    try {
      var sha256 = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(sha256.digest(data.asByteArray()));
    } catch (java.security.NoSuchAlgorithmException impossible) {
      throw new AssertionError(impossible);
    }
  }

  private void limits() {
    step(38, "throttled entries", this::throttledEntries);
    step(39, "throttled call", () -> {
      var data = SdkBytes.fromByteArray(new byte[9_000_000]);
      refused(ProvisionedThroughputExceededException.class,
          THROTTLED,
          () -> withoutRetries.putRecord(
                  it -> it.streamName("limited").partitionKey("a").data(data)));
    });
    step(40, "retries", () -> {
      for (int number : failed) {
        kinesis.putRecord(it -> it.streamName("limited").partitionKey("a").data(megabyte(number)));
      }
      var records = read(horizon("limited", shardId(0)));
      equal(
          records.stream().map(it -> digest(it.data())).sorted().toList(),
          IntStream.range(0, 15).mapToObj(it -> digest(megabyte(it))).sorted().toList());
    });
  }

  private void throttledEntries() throws Exception {
    kinesis.createStream(it -> it.streamName("limited").shardCount(1).maxRecordSizeInKiB(10240));
    untilActive("limited");
    var records = IntStream.range(0, 15).mapToObj(it -> entry("a", megabyte(it))).toList();
    var first =
        kinesis.putRecords(it -> it.streamName("limited").records(records.subList(0, 10)));
    equal(first.failedRecordCount(), 0);
    var answer =
        kinesis.putRecords(it -> it.streamName("limited").records(records.subList(10, 15)));
    equal(answer.records().size(), 5);
    for (int place = 0; place < 5; place++) {
      var result = answer.records().get(place);
      if (result.errorCode() == null) {
        check(result.shardId() != null && result.sequenceNumber() != null, result);
        equal(result.errorMessage(), null);
      } else {
        equal(result.errorCode(), "ProvisionedThroughputExceededException");
        equal(result.errorMessage(), THROTTLED);
        check(result.shardId() == null && result.sequenceNumber() == null, result);
        failed.add(10 + place);
      }
    }
    equal(answer.failedRecordCount(), failed.size());
    check(!failed.isEmpty(), "nothing was throttled");
  }

  private static Map<String, String> tags(List<Tag> tags) {
    var found = new TreeMap<String, String>();
    tags.forEach(it -> found.put(it.key(), it.value()));
    equal(found.size(), tags.size());
    return found;
  }

  private ListTagsForStreamResponse streamTags(Consumer<ListTagsForStreamRequest.Builder> page) {
    return kinesis.listTagsForStream(page.andThen(it -> it.streamName("clicks")));
  }

  private void settings() {
    step(41, "tags of a stream", () -> {
      var added = Map.of("env", "test", "owner", "ü");
      kinesis.addTagsToStream(it -> it.streamName("clicks").tags(added));
      var first = streamTags(it -> it.limit(2));
      equal(tags(first.tags()), added);
      equal(first.hasMoreTags(), true);
      var second = streamTags(it -> it.exclusiveStartTagKey("owner"));
      equal(tags(second.tags()), Map.of("team", "web"));
      equal(second.hasMoreTags(), false);
      kinesis.removeTagsFromStream(it -> it.streamName("clicks").tagKeys("env", "none"));
      equal(tags(streamTags(it -> {}).tags()), Map.of("owner", "ü", "team", "web"));
    });
    step(42, "tags of a resource", () -> {
      var others = Map.of("owner", "ü", "team", "web");
      for (var resource : List.of(arn("clicks"), consumers.get("late"))) {
        var before = resource.equals(arn("clicks")) ? others : Map.<String, String>of();
        var after = new TreeMap<>(before);
        after.put("cost", "1");
        kinesis.tagResource(it -> it.resourceARN(resource).tags(Map.of("cost", "1")));
        equal(tags(kinesis.listTagsForResource(it -> it.resourceARN(resource)).tags()), after);
        kinesis.untagResource(it -> it.resourceARN(resource).tagKeys("cost"));
        equal(tags(kinesis.listTagsForResource(it -> it.resourceARN(resource)).tags()), before);
      }
    });
    step(43, "policy", () -> {
      Callable<String> policy =
          () -> kinesis.getResourcePolicy(it -> it.resourceARN(arn("clicks"))).policy();
      equal(policy.call(), "{}");
      kinesis.putResourcePolicy(it -> it.resourceARN(arn("clicks")).policy(POLICY));
      equal(policy.call(), POLICY);
      kinesis.deleteResourcePolicy(it -> it.resourceARN(arn("clicks")));
      equal(policy.call(), "{}");
      refused(ResourceNotFoundException.class,
          null,
          () -> kinesis.deleteResourcePolicy(it -> it.resourceARN(arn("clicks"))));
    });
    step(44, "encryption", this::encryption);
    step(45, "retention", this::retention);
    step(46, "monitoring", this::monitoring);
    step(47, "record size", this::recordSize);
    step(48, "mode", () -> {
      switchTo(StreamMode.ON_DEMAND);
      refused(ValidationException.class,
          "Request is invalid. Stream growing under account " + ACCOUNT + " is in On-Demand mode.",
          () -> split("growing", shardId(6), HALF));
      switchTo(StreamMode.PROVISIONED);
    });
    step(49, "account", () -> {
      var limits = kinesis.describeLimits();
      equal(limits.shardLimit(), 20000);
      equal(limits.openShardCount(), openShards());
      equal(limits.onDemandStreamCount(), 0);
      equal(limits.onDemandStreamCountLimit(), 50);
      var commitment =
          kinesis.describeAccountSettings(it -> {}).minimumThroughputBillingCommitment();
      equal(commitment.statusAsString(), "DISABLED");
    });
  }

  private void encryption() throws Exception {
    var key = "alias/aws/kinesis";
    kinesis.startStreamEncryption(
        it -> it.streamName("clicks").encryptionType(EncryptionType.KMS).keyId(key));
    var encrypted = untilActive("clicks");
    equal(encrypted.encryptionType(), EncryptionType.KMS);
    equal(encrypted.keyId(), key);
    var secret = putAt(MOST, "clicks", "secret");
    equal(secret.encryptionType(), EncryptionType.KMS);
    equal(secret.shardId(), shardId(1));
    kinesis.stopStreamEncryption(
        it -> it.streamName("clicks").encryptionType(EncryptionType.KMS).keyId(key));
    var plain = untilActive("clicks");
    equal(plain.encryptionType(), EncryptionType.NONE);
    equal(plain.keyId(), null);
    equal(putAt(MOST, "clicks", "open").encryptionType(), null);
    var at =
        iterator(
            "clicks",
            shardId(1),
            ShardIteratorType.AT_SEQUENCE_NUMBER,
            it -> it.startingSequenceNumber(secret.sequenceNumber()));
    var records = read(at);
    equal(texts(records), List.of("secret", "open"));
    equal(records.get(0).encryptionType(), EncryptionType.KMS);
    equal(records.get(1).encryptionType(), null);
  }

  private void retention() throws Exception {
    kinesis.increaseStreamRetentionPeriod(it -> it.streamName("clicks").retentionPeriodHours(48));
    equal(untilActive("clicks").retentionPeriodHours(), 48);
    refused(InvalidArgumentException.class,
        "Requested retention period (24 hours) for stream clicks can not be shorter than existing"
            + " retention period (48 hours). Use DecreaseRetentionPeriod API.",
        () -> kinesis.increaseStreamRetentionPeriod(
                it -> it.streamName("clicks").retentionPeriodHours(24)));
    refused(InvalidArgumentException.class,
        "Maximum allowed retention period is 8760 hours."
            + " Requested retention period (9000 hours) is too long.",
        () -> kinesis.increaseStreamRetentionPeriod(
                it -> it.streamName("clicks").retentionPeriodHours(9000)));
    kinesis.decreaseStreamRetentionPeriod(it -> it.streamName("clicks").retentionPeriodHours(24));
    equal(untilActive("clicks").retentionPeriodHours(), 24);
    refused(InvalidArgumentException.class,
        "Minimum allowed retention period is 24 hours."
            + " Requested retention period (12 hours) is too short.",
        () -> kinesis.decreaseStreamRetentionPeriod(
                it -> it.streamName("clicks").retentionPeriodHours(12)));
  }

  private void monitoring() throws Exception {
    var two = List.of(MetricsName.INCOMING_BYTES, MetricsName.OUTGOING_RECORDS);
    var first =
        kinesis.enableEnhancedMonitoring(it -> it.streamName("clicks").shardLevelMetrics(two));
    equal(first.streamName(), "clicks");
    equal(first.streamARN(), arn("clicks"));
    equal(first.currentShardLevelMetrics(), List.of());
    equal(Set.copyOf(first.desiredShardLevelMetrics()), Set.copyOf(two));
    untilActive("clicks");
    var all =
        kinesis.enableEnhancedMonitoring(
            it -> it.streamName("clicks").shardLevelMetrics(MetricsName.ALL));
    equal(Set.copyOf(all.currentShardLevelMetrics()), Set.copyOf(two));
    equal(Set.copyOf(all.desiredShardLevelMetrics()), Set.copyOf(METRICS));
    var found = untilActive("clicks").enhancedMonitoring().get(0).shardLevelMetrics();
    equal(Set.copyOf(found), Set.copyOf(METRICS));
    var none =
        kinesis.disableEnhancedMonitoring(
            it -> it.streamName("clicks").shardLevelMetrics(MetricsName.ALL));
    equal(Set.copyOf(none.currentShardLevelMetrics()), Set.copyOf(METRICS));
    equal(none.desiredShardLevelMetrics(), List.of());
    untilActive("clicks");
  }

  private void recordSize() throws Exception {
    var large = SdkBytes.fromByteArray(new byte[1_048_577]);
    refused(ValidationException.class,
        "1 validation error detected: Value at 'data' failed to satisfy constraint:"
            + " Member must have length less than or equal to 1048576",
        () -> kinesis.putRecord(it -> it.streamName("clicks").partitionKey("a").data(large)));
    kinesis.updateMaxRecordSize(it -> it.streamARN(arn("clicks")).maxRecordSizeInKiB(10240));
    equal(untilActive("clicks").maxRecordSizeInKiB(), 10240);
    var data = new byte[10_485_760];
    IntStream.range(0, data.length).forEach(at -> data[at] = (byte) at);
    var largest = SdkBytes.fromByteArray(data);
    var answer =
        kinesis.putRecord(
            it -> it.streamName("clicks").partitionKey("a").explicitHashKey(MOST.toString())
                    .data(largest));
    var at =
        iterator(
            "clicks",
            answer.shardId(),
            ShardIteratorType.AT_SEQUENCE_NUMBER,
            it -> it.startingSequenceNumber(answer.sequenceNumber()));
    var records = kinesis.getRecords(it -> it.shardIterator(at)).records();
    equal(records.size(), 1);
    check(records.get(0).data().equals(largest), "the largest record came back altered");
  }

  private void switchTo(StreamMode mode) throws Exception {
    kinesis.updateStreamMode(
        it -> it.streamARN(arn("growing")).streamModeDetails(details -> details.streamMode(mode)));
    var found = untilActive("growing");
    equal(found.streamModeDetails().streamMode(), mode);
    equal(found.openShardCount(), 3);
  }

  private int openShards() {
    return Stream.of("clicks", "growing", "fan", "limited")
        .mapToInt(it -> summary(it).openShardCount())
        .sum();
  }

  private void errorsByType() {
    step(50, "dry run", () -> {
      var at = iterator("clicks", shardId(1), ShardIteratorType.LATEST);
      var record = record("clicks", "no");
      refused(DryRunOperationException.class,
          null,
          () -> kinesis.putRecord(record.andThen(it -> it.partitionKey("z").dryRun(true))));
      equal(read(at), List.of());
    });
    step(51, "validation", () ->
        refused(ValidationException.class,
            "1 validation error detected: Value 'bad name' at 'streamName' failed to satisfy"
                + " constraint: Member must satisfy regular expression pattern:"
                + " [a-zA-Z0-9_.-]+",
            () -> kinesis.createStream(it -> it.streamName("bad name").shardCount(1))));
    step(52, "quota", () ->
        refused(LimitExceededException.class,
            "This request would exceed the shard limit for the account " + ACCOUNT
                + " in us-east-1. Current shard count for the account: " + openShards()
                + ". Limit: 20000. Number of additional shards that would have resulted from"
                + " this request: 100000. Refer to the AWS Service Limits page"
                + " (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html)"
                + " for current limits and how to request higher limits.",
            () -> withoutRetries.createStream(it -> it.streamName("huge").shardCount(100_000))));
    step(53, "nothing there", () -> {
      refused(ResourceNotFoundException.class,
          "Stream missing under account " + ACCOUNT + " not found.",
          () -> put("missing", ""));
      refused(ResourceNotFoundException.class,
          "Shard " + shardId(99) + " in stream clicks under account " + ACCOUNT + " does not exist",
          () -> horizon("clicks", shardId(99)));
    });
    step(54, "bad arguments", () -> {
      refused(InvalidArgumentException.class,
          "Invalid ShardIterator.",
          () -> kinesis.getRecords(it -> it.shardIterator("AAAA")));
      refused(InvalidArgumentException.class,
          "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP."
              + " Current request has no timestamp parameter.",
          () -> iterator("clicks", shardId(1), ShardIteratorType.AT_TIMESTAMP));
    });
    step(55, "channels", () -> {
      try {
        kinesis.listChannels(it -> {});
      } catch (KinesisException raised) {
        equal(raised.awsErrorDetails().errorCode(), "UnknownOperationException");
        equal(raised.statusCode(), 400);
        return;
      }
      throw new AssertionError("channels were listed");
    });
  }

  private static TrustManager[] trusting(String certificate) throws Exception {
    var store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (var file = new FileInputStream(certificate)) {
      var factory = CertificateFactory.getInstance("X.509");
      store.setCertificateEntry("kinelog", factory.generateCertificate(file));
    }
    var managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    managers.init(store);
    return managers.getTrustManagers();
  }

  private static void trust(KinesisBaseClientBuilder<?, ?> builder, TrustManager[] trusted) {
    if (builder instanceof KinesisClientBuilder sync) {
      sync.httpClientBuilder(Apache5HttpClient.builder().tlsTrustManagersProvider(() -> trusted));
    } else if (builder instanceof KinesisAsyncClientBuilder async) {
      async.httpClientBuilder(
          NettyNioAsyncHttpClient.builder().tlsTrustManagersProvider(() -> trusted));
    }
  }

  private void around() {
    step(56, "another world", () -> {
      var credentials = AwsBasicCredentials.create("123456789012", "secret");
      var owner = StaticCredentialsProvider.create(credentials);
      var there = attempts(15).andThen(it -> it.region(Region.EU_WEST_1).credentialsProvider(owner));
      var other = connect(there);
      equal(other.listStreams().streamNames(), List.of());
      other.createStream(it -> it.streamName("clicks").shardCount(1));
      waitForExistence(other, "clicks");
      var found = other.describeStreamSummary(it -> it.streamName("clicks"));
      equal(
          found.streamDescriptionSummary().streamARN(),
          "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks");
      equal(summary("clicks").streamARN(), arn("clicks"));
    });
    step(57, "TLS", () -> {
      var url = URI.create(System.getenv("KINELOG_TLS_URL"));
      var trusted = trusting(System.getenv("KINELOG_TLS_CERTIFICATE"));
      var overTls = attempts(15).andThen(it -> it.endpointOverride(url));
      var secure = connect(overTls.andThen(it -> trust(it, trusted)));
      var found = secure.describeStreamSummary(it -> it.streamName("clicks"));
      equal(found.streamDescriptionSummary().streamARN(), arn("clicks"));
      var at = iterator("clicks", shardId(1), ShardIteratorType.LATEST);
      var record = record("clicks", "sealed");
      secure.putRecord(record.andThen(it -> it.explicitHashKey(MOST.toString())));
      equal(texts(read(secure, at)), List.of("sealed"));
      var distrustful = connect(attempts(1).andThen(it -> it.endpointOverride(url)));
      try {
        distrustful.listStreams();
      } catch (SdkClientException refusal) {
        check(refusal.toString().contains("PKIX path building failed"), refusal);
        return;
      }
      throw new AssertionError("an unknown certificate was trusted");
    });
    step(58, "delete with consumers", () -> {
      kinesis.deleteStream(it -> it.streamName("fan").enforceConsumerDeletion(true));
      waitForAbsence("fan");
      refused(ResourceNotFoundException.class, null, () -> describeConsumer("late"));
    });
  }

  private int run() {
    int passed = 0;
    int skipped = 0;
    for (var step : steps) {
      var line = (passed + skipped + 1) + " " + step.name;
      if (step.body == null) {
        System.out.println("skip " + line);
        skipped++;
        continue;
      }
      try {
        step.body.run();
      } catch (Throwable difference) {
        difference.printStackTrace();
        System.out.println("FAILED " + line + "\n" + passed + " passed, 1 failed");
        return 1;
      }
      System.out.println("ok " + line);
      passed++;
    }
    var skips = skipped == 0 ? "" : ", " + skipped + " skipped";
    System.out.println(passed + " passed, 0 failed" + skips);
    return 0;
  }

  public static void main(String[] arguments) {
    System.exit(new Scenario(arguments[0].equals("async")).run());
  }
}
