#!/usr/bin/env bash
# The steps of scenario.md through the AWS CLI v1, which has no command to subscribe to a shard, no
# --dry-run and no channels.
set -euo pipefail
export LC_ALL=C.UTF-8 PYTHONUTF8=1 AWS_DEFAULT_OUTPUT=text AWS_PAGER=
export AWS_MAX_ATTEMPTS=15 AWS_RETRY_MODE=standard
work=$(mktemp -d)

account=000000000000
quarter=85070591730234615865843651857942052864
quarter_less_one=85070591730234615865843651857942052863
half=170141183460469231731687303715884105728
half_less_one=170141183460469231731687303715884105727
most=340282366920938463463374607431768211455
aggregated=f3899ac20a06757365722d310a06757365722d321a0708001a036f6e651a0708011a0374776f739579e92e3431b6e6d0e006dcba4a78
metrics="IncomingBytes IncomingRecords IteratorAgeMilliseconds OutgoingBytes OutgoingRecords"
metrics+=" ReadProvisionedThroughputExceeded WriteProvisionedThroughputExceeded"
arn=arn:aws:kinesis:us-east-1:$account:stream
policy='{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},'
policy+='"Action":["kinesis:DescribeStreamSummary","kinesis:GetRecords"],"Resource":"'$arn/clicks'"}]}'
throttled="Rate exceeded for shard shardId-000000000000 in stream limited under account $account."

# Steps

number=0
name=
passed=0
skipped=0

# Ends the step before and begins the next.
step() {
  if [ -n "$name" ]; then
    echo "ok $number $name"
    passed=$((passed + 1))
  fi
  number=$1
  name=$2
}

skip() {
  step "$1" ""
  echo "skip $1 $2"
  skipped=$((skipped + 1))
}

finish() {
  local status=$?
  rm -rf "$work"
  if [ $status -ne 0 ]; then
    printf 'FAILED %s %s\n%s passed, 1 failed\n' "$number" "$name" "$passed"
  fi
}
trap finish EXIT
trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR

fail() {
  echo "$1" >&2
  exit 1
}

equal() {
  if [ "$1" != "$2" ]; then
    fail "found '$1', expected '$2'"
  fi
}

# refused CODE TEXT COMMAND...: the command ends with that error, and that text unless empty.
refused() {
  local code=$1 text=$2 said
  shift 2
  if said=$("$@" 2>&1); then
    fail "not refused with $code: $said"
  fi
  local form='An error occurred \((.*)\) when calling the [A-Za-z]+ operation( \(reached max retries: [0-9]+\))?: (.*)$'
  [[ $said =~ $form ]] || fail "$said"
  equal "${BASH_REMATCH[1]}" "$code"
  if [ -n "$text" ]; then
    equal "${BASH_REMATCH[3]}" "$text"
  fi
}

# Calls

kinesis() {
  aws kinesis "$@"
}

without_retries() {
  AWS_MAX_ATTEMPTS=1 aws kinesis "$@"
}

shard() {
  printf 'shardId-%012d' "$1"
}

# summary STREAM QUERY
summary() {
  kinesis describe-stream-summary --stream-name "$1" --query "StreamDescriptionSummary.$2"
}

until_active() {
  while [ "$(summary "$1" StreamStatus)" != ACTIVE ]; do
    sleep 0.1
  done
}

# put STREAM DATA OPTION...: the shard, the number and the encryption type
put() {
  kinesis put-record --stream-name "$1" --partition-key a --data "$2" "${@:3}" \
    --query '[ShardId,SequenceNumber,EncryptionType]'
}

# put_until STREAM SHARD WORD: puts `WORD 1`, `WORD 2`, ... until one lands in the shard; into
# $work/landed a line for each, its shard and its data.
put_until() {
  local count landed=
  : >"$work/landed"
  for ((count = 1; ; count++)); do
    landed=$(put "$1" "$3 $count" --explicit-hash-key 0 | cut -f 1)
    printf '%s\t%s\n' "$landed" "$3 $count" >>"$work/landed"
    if [ "$landed" = "$2" ]; then
      return
    fi
  done
}

# iterator STREAM SHARD TYPE OPTION...
iterator() {
  kinesis get-shard-iterator --stream-name "$1" --shard-id "$2" --shard-iterator-type "$3" "${@:4}"
}

# A line with next iterator, milliseconds behind and children, then a line for each record: number,
# key, encryption type, arrival time, data in base64.
page_query='[[[NextShardIterator,to_string(MillisBehindLatest),to_string(ChildShards[].[ShardId,ParentShards])]],
  Records[].[SequenceNumber,PartitionKey,EncryptionType,ApproximateArrivalTimestamp,Data]][]'

page() {
  kinesis get-records --shard-iterator "$1" --query "$page_query" "${@:2}" >"$work/page"
  IFS=$'\t' read -r next behind children <"$work/page"
}

# Records up to the tip, into $work/records
read_to_tip() {
  local at=$1
  : >"$work/records"
  while :; do
    page "$at" "${@:2}"
    equal "$children" null
    sed 1d "$work/page" >>"$work/records"
    if [ "$(wc -l <"$work/page")" = 1 ] && [ "$behind" = 0 ]; then
      return
    fi
    at=$next
  done
}

# Records up to the end, into $work/records; the children are left in $children.
drain() {
  local at=$1
  : >"$work/records"
  while :; do
    page "$at"
    sed 1d "$work/page" >>"$work/records"
    if [ "$next" = None ]; then
      return
    fi
    equal "$children" null
    at=$next
    sleep 0.2
  done
}

# The data of records on standard input, a line each, as texts
texts() {
  cut -f 5 | while read -r data; do
    base64 -d <<<"$data"
    echo
  done
}

lines() {
  printf '%s\n' "$@"
}

# shards STREAM QUERY OPTION...: a line a shard
shards() {
  kinesis list-shards --stream-name "$1" --query "Shards[].$2" "${@:3}"
}

plus_one() {
  local key=$1 zeros=
  while [[ $key == *9 ]]; do
    key=${key%9}
    zeros+=0
  done
  echo "${key%?}$((${key: -1} + 1))$zeros"
}

# Lines of first and last keys on standard input cover the key space without hole or overlap.
tiles() {
  local expected=0 start end
  while read -r start end; do
    equal "$start" "$expected"
    expected=$(plus_one "$end")
  done < <(sort -n)
  equal "$expected" "$(plus_one $most)"
}

is_recent() {
  local age=$(($(date +%s) - ${1%.*}))
  [ ${age#-} -lt 3600 ] || fail "$1 is not now"
}

# Life cycle

step 1 create
kinesis create-stream --stream-name clicks --shard-count 2 --tags team=web
kinesis wait stream-exists --stream-name clicks

step 2 "name taken"
refused ResourceInUseException "Stream clicks under account $account already exists." \
  kinesis create-stream --stream-name clicks --shard-count 2

step 3 describe
query='[StreamARN,StreamStatus,StreamModeDetails.StreamMode,RetentionPeriodHours,EncryptionType,to_string(EnhancedMonitoring),HasMoreShards]'
# The CLI's own pagination drops what is not in its list of members.
found=$(kinesis describe-stream --no-paginate --stream-name clicks --query "StreamDescription.$query")
equal "$found" "$arn/clicks	ACTIVE	PROVISIONED	24	NONE	[{\"ShardLevelMetrics\":[]}]	False"
query='[ShardId,HashKeyRange.StartingHashKey,HashKeyRange.EndingHashKey,length(SequenceNumberRange.StartingSequenceNumber),SequenceNumberRange.EndingSequenceNumber,ParentShardId,AdjacentParentShardId]'
found=$(kinesis describe-stream --stream-name clicks --query "StreamDescription.Shards[].$query")
equal "$found" "$(shard 0)	0	$half_less_one	56	None	None	None
$(shard 1)	$half	$most	56	None	None	None"
created_at=$(kinesis describe-stream --stream-name clicks --query StreamDescription.StreamCreationTimestamp)
is_recent "$created_at"

step 4 summary
query='[StreamName,OpenShardCount,ConsumerCount,MaxRecordSizeInKiB,StreamCreationTimestamp,StreamId]'
found=$(kinesis describe-stream-summary --stream-arn $arn/clicks --query "StreamDescriptionSummary.$query")
equal "$found" "clicks	2	0	1024	$created_at	None"

step 5 list
kinesis create-stream --stream-name archive --shard-count 1
until_active archive
equal "$(kinesis list-streams --page-size 1 --query 'StreamNames[]')" "$(lines archive clicks)"

step 6 delete
kinesis delete-stream --stream-name archive
kinesis wait stream-not-exists --stream-name archive
refused ResourceNotFoundException "Stream archive under account $account not found." \
  kinesis describe-stream --stream-name archive

step 7 pages
one_page=(--no-paginate --max-results 1 --query "[Shards[].ShardId|[0],NextToken]")
IFS=$'\t' read -r first token < <(kinesis list-shards --stream-name clicks "${one_page[@]}")
equal "$first" "$(shard 0)"
equal "$(kinesis list-shards --next-token "$token" "${one_page[@]}")" "$(shard 1)	None"
refused InvalidArgumentException "NextToken and StreamName cannot be provided together." \
  kinesis list-shards --stream-name clicks --page-size 1
found=$(kinesis describe-stream --stream-name clicks --no-paginate --limit 1 \
  --query 'StreamDescription.[length(Shards),HasMoreShards]')
equal "$found" "1	True"

# Writing

# Lines of shard, number, key and data in base64, of what steps 8 to 11 put
written=$work/written

# remember KEY DATA-FILE SHARD: what put said on standard input
remember() {
  local shard number encryption
  IFS=$'\t' read -r shard number encryption
  equal "$shard" "$(shard "$3")"
  equal "$encryption" None
  printf '%s\t%s\t%s\t%s\n' "$shard" "$number" "$1" "$(base64 -w 0 "$2")" >>"$written"
}

echo -n first >"$work/first"
echo -n last >"$work/last"
echo -n plain >"$work/plain"
echo -n "quack 🦆" >"$work/quack"
echo -n later >"$work/later"
: >"$work/empty"
for byte in {0..255}; do
  printf "\\x$(printf %02x "$byte")"
done >"$work/bytes"
for ((at = 0; at < ${#aggregated}; at += 2)); do
  printf "\\x${aggregated:at:2}"
done >"$work/aggregated"

step 8 put
start=$(shards clicks SequenceNumberRange.StartingSequenceNumber | head -n 1)
put clicks first >"$work/put"
remember a "$work/first" 0 <"$work/put"
[[ $(cut -f 2 "$work/put") > $start ]] || fail "not above the start"

step 9 "explicit hash key"
put clicks last --explicit-hash-key $most | remember a "$work/last" 1

# The CLI takes texts alone in put-records; the bytes go by put-record.
step 10 "put many"
kinesis put-records --stream-name clicks --query '[[[to_string(FailedRecordCount),EncryptionType]],
  Records[].[ShardId,SequenceNumber,EncryptionType,ErrorCode]][]' --records \
  '[{"PartitionKey":"pk","Data":"plain"},{"PartitionKey":"ü","Data":""},{"PartitionKey":"🦆 duck","Data":"quack 🦆"}]' \
  >"$work/put"
equal "$(head -n 1 "$work/put")" "0	None"
equal "$(sed 1d "$work/put" | cut -f 4 | sort -u)" None
equal "$(wc -l <"$work/put")" 4
sed -n 2p "$work/put" | cut -f 1-3 | remember pk "$work/plain" 0
sed -n 3p "$work/put" | cut -f 1-3 | remember ü "$work/empty" 1
sed -n 4p "$work/put" | cut -f 1-3 | remember "🦆 duck" "$work/quack" 1
put clicks "fileb://$work/bytes" --partition-key 日本 | remember 日本 "$work/bytes" 0
put clicks "fileb://$work/aggregated" --explicit-hash-key 0 | remember a "$work/aggregated" 0

step 11 ordering
plain=$(sed -n 3p "$written" | cut -f 2)
put clicks later --partition-key pk --sequence-number-for-ordering "$plain" >"$work/put"
[[ $(cut -f 2 "$work/put") > $plain ]] || fail "not above the one before"
remember pk "$work/later" 0 <"$work/put"

# Reading

step 12 "trim horizon"
for number_of_shard in 1 0; do
  in_shard=$(shard $number_of_shard)
  read_to_tip "$(iterator clicks "$in_shard" TRIM_HORIZON)"
  equal "$(cut -f 1,2,5 "$work/records")" "$(grep "^$in_shard" "$written" | cut -f 2-4)"
  equal "$(cut -f 3 "$work/records" | sort -u)" None
  equal "$(cut -f 4 "$work/records")" "$(cut -f 4 "$work/records" | sort -n)"
  is_recent "$(head -n 1 "$work/records" | cut -f 4)"
done
mv "$work/records" "$work/in_shard_0"

step 13 "at number"
second=$(sed -n 2p "$work/in_shard_0" | cut -f 1)
read_to_tip "$(iterator clicks "$(shard 0)" AT_SEQUENCE_NUMBER --starting-sequence-number "$second")"
equal "$(cat "$work/records")" "$(sed 1d "$work/in_shard_0")"

step 14 "after number"
read_to_tip "$(iterator clicks "$(shard 0)" AFTER_SEQUENCE_NUMBER --starting-sequence-number "$second")"
equal "$(cat "$work/records")" "$(sed 1,2d "$work/in_shard_0")"

# The CLI sends whole seconds.
step 15 "at time"
time=$(tail -n 1 "$work/in_shard_0" | cut -f 4 | cut -d . -f 1)
read_to_tip "$(iterator clicks "$(shard 0)" AT_TIMESTAMP --timestamp "$time")"
equal "$(cat "$work/records")" "$(awk -F '\t' -v time="$time" '$4 >= time' "$work/in_shard_0")"

step 16 latest
at=$(iterator clicks "$(shard 0)" LATEST)
put clicks new >"$work/put"
read_to_tip "$at"
equal "$(texts <"$work/records")" new

step 17 "iterator again"
at=$(iterator clicks "$(shard 0)" TRIM_HORIZON)
page "$at" --limit 1
sed 1d "$work/page" >"$work/once"
following=$next
page "$at" --limit 1
equal "$(sed 1d "$work/page")" "$(cat "$work/once")"
equal "$(texts <"$work/once")" first
[ "$following" != "$at" ] || fail "the next iterator is the same"
page "$following" --limit 1
equal "$(sed 1d "$work/page" | texts)" plain

# Resharding

# split STREAM SHARD KEY
split() {
  kinesis split-shard --stream-name "$1" --shard-to-split "$2" --new-starting-hash-key "$3"
}

merge() {
  kinesis merge-shards --stream-name clicks --shard-to-merge "$1" --adjacent-shard-to-merge "$2"
}

lineage='[ShardId,HashKeyRange.StartingHashKey,HashKeyRange.EndingHashKey,ParentShardId,AdjacentParentShardId]'

step 18 "split refused"
refused InvalidArgumentException "NewStartingHashKey 1 used in SplitShard() on shard $(shard 0) in stream clicks under account $account is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey $half_less_one." \
  split clicks "$(shard 0)" 1

step 19 split
split clicks "$(shard 0)" $quarter
until_active clicks
equal "$(shards clicks "$lineage")" "$(shard 0)	0	$half_less_one	None	None
$(shard 1)	$half	$most	None	None
$(shard 2)	0	$quarter_less_one	$(shard 0)	None
$(shard 3)	$quarter	$half_less_one	$(shard 0)	None"
equal "$(shards clicks ShardId --query 'Shards[?SequenceNumberRange.EndingSequenceNumber].ShardId')" "$(shard 0)"

step 20 closed
refused InvalidArgumentException "Shard $(shard 0) in stream clicks under account $account has already been merged or split, and thus is not eligible for merging or splitting." \
  split clicks "$(shard 0)" $quarter

step 21 "move over"
put_until clicks "$(shard 2)" move
equal "$(sed \$d "$work/landed" | cut -f 1 | sort -u)" "$(sed \$d "$work/landed" | head -n 1 | cut -f 1)"
mv "$work/landed" "$work/moved"

step 22 drain
drain "$(iterator clicks "$(shard 0)" TRIM_HORIZON)"
equal "$children" "[[\"$(shard 2)\",[\"$(shard 0)\"]],[\"$(shard 3)\",[\"$(shard 0)\"]]]"
mv "$work/records" "$work/of_parent"
read_to_tip "$(iterator clicks "$(shard 2)" TRIM_HORIZON)"
found=$(cat "$work/of_parent" "$work/records" | texts | grep -a '^move ')
equal "$found" "$(cut -f 2 "$work/moved")"

step 23 "merge refused"
refused InvalidArgumentException "Shards $(shard 3) and $(shard 2) in stream clicks under account $account are not an adjacent pair of shards eligible for merging" \
  merge "$(shard 3)" "$(shard 2)"

step 24 merge
merge "$(shard 2)" "$(shard 3)"
until_active clicks
equal "$(shards clicks "$lineage" | tail -n 1)" "$(shard 4)	0	$half_less_one	$(shard 2)	$(shard 3)"
for parent in 2 3; do
  drain "$(iterator clicks "$(shard $parent)" TRIM_HORIZON)"
  equal "$children" "[[\"$(shard 4)\",[\"$(shard 2)\",\"$(shard 3)\"]]]"
done

step 25 "latest of a closed shard"
page "$(iterator clicks "$(shard 2)" LATEST)"
equal "$next" None
equal "$children" "[[\"$(shard 4)\",[\"$(shard 2)\",\"$(shard 3)\"]]]"

# resize kinesis|without_retries TARGET
resize() {
  "$1" update-shard-count --stream-name growing --target-shard-count "$2" --scaling-type UNIFORM_SCALING \
    --query '[CurrentShardCount,TargetShardCount,StreamName,StreamARN]'
}

step 26 "update shard count"
kinesis create-stream --stream-name growing --shard-count 2
until_active growing
records=()
for count in {0..199}; do
  records+=("PartitionKey=key-$count,Data=$count")
done
equal "$(kinesis put-records --stream-name growing --records "${records[@]}" --query FailedRecordCount)" 0
equal "$(resize kinesis 3)" "2	3	growing	$arn/growing"
until_active growing
equal "$(summary growing OpenShardCount)" 3
shards growing ShardId --query 'Shards[].[ShardId,SequenceNumberRange.EndingSequenceNumber]' >"$work/growing"
equal "$(wc -l <"$work/growing")" 7
for ((count = 200; ; count++)); do
  landed=$(put growing $count --partition-key key-0 | cut -f 1)
  if grep -q "^$landed	None$" "$work/growing"; then
    break
  fi
done

step 27 "drain the lineage"
met=
: >"$work/all"
waiting=$(shards growing ShardId --query 'Shards[?!ParentShardId].[ShardId]')
while [ -n "$waiting" ]; do
  at=$(head -n 1 <<<"$waiting")
  waiting=$(sed 1d <<<"$waiting")
  met+="$at "
  if grep -q "^$at	None$" "$work/growing"; then
    read_to_tip "$(iterator growing "$at" TRIM_HORIZON)"
  else
    drain "$(iterator growing "$at" TRIM_HORIZON)"
    # Children are told as [["shard",["parent",...]],...]; those whose parents are all met are next.
    while read -r child parents; do
      ready=yes
      for parent in $parents; do
        [[ $met == *"$parent "* ]] || ready=no
      done
      if [ $ready = yes ]; then
        waiting=$(sed '/^$/d' <<<"$waiting"$'\n'"$child")
      fi
    done < <(sed 's/\]\],\?/\n/g' <<<"$children" | tr -d '"[]' | tr ',' ' ' | sed '/^ *$/d')
  fi
  cat "$work/records" >>"$work/all"
done
equal "$(tr ' ' '\n' <<<"$met" | sed '/^$/d' | sort)" "$(cut -f 1 "$work/growing")"
equal "$(texts <"$work/all" | sort -n)" "$(seq 0 $count)"
equal "$(grep -P '\tkey-0\t' "$work/all" | texts)" "$(echo 0; seq 200 $count)"

step 28 filters
range='[HashKeyRange.StartingHashKey,HashKeyRange.EndingHashKey]'
equal "$(shards growing "$range" --shard-filter Type=AT_LATEST | wc -l)" 3
shards growing "$range" --shard-filter Type=AT_LATEST | tiles
shards growing "$range" --shard-filter Type=AT_TRIM_HORIZON | tiles
equal "$(shards growing '[ShardId]' --shard-filter "Type=AFTER_SHARD_ID,ShardId=$(shard 3)")" \
  "$(lines "$(shard 4)" "$(shard 5)" "$(shard 6)")"
sizes=
source_of_page=(--stream-name growing)
while :; do
  IFS=$'\t' read -r size token < <(kinesis list-shards "${source_of_page[@]}" --no-paginate --max-results 2 \
    --query '[to_string(length(Shards)),NextToken]')
  sizes+=$size
  [ "$token" != None ] || break
  source_of_page=(--next-token "$token")
done
equal "$sizes" 2221

step 29 "too many at once"
refused LimitExceededException "" resize without_retries 7

# Fan-out

declare -A consumers

register() {
  kinesis register-stream-consumer --stream-arn $arn/fan --consumer-name "$1" \
    --query 'Consumer.[ConsumerName,ConsumerStatus,ConsumerARN]'
}

# describe_consumer NAME QUERY
describe_consumer() {
  kinesis describe-stream-consumer --consumer-arn "${consumers[$1]}" --query "ConsumerDescription.$2"
}

step 30 register
kinesis create-stream --stream-name fan --shard-count 1
until_active fan
for consumer in reader late; do
  IFS=$'\t' read -r found status consumers[$consumer] < <(register $consumer)
  equal "$found	$status" "$consumer	CREATING"
  [[ ${consumers[$consumer]} =~ ^$arn/fan/consumer/$consumer:[0-9]+$ ]] || fail "${consumers[$consumer]}"
  while [ "$(describe_consumer $consumer ConsumerStatus)" != ACTIVE ]; do
    sleep 0.1
  done
  equal "$(describe_consumer $consumer StreamARN)" $arn/fan
done
equal "$(summary fan ConsumerCount)" 2

step 31 "registered twice"
refused ResourceInUseException "" register reader
found=$(kinesis list-stream-consumers --stream-arn $arn/fan --page-size 1 --query 'Consumers[].ConsumerName')
equal "$(sort <<<"$found")" "$(lines late reader)"

skip 32 subscribe
skip 33 "one subscription"
skip 34 "end of the shard"
skip 35 resubscribe

step 36 "consumers hold the stream"
refused ResourceInUseException "" kinesis delete-stream --stream-name fan

step 37 deregister
kinesis deregister-stream-consumer --consumer-arn "${consumers[reader]}"
while describe_consumer reader ConsumerStatus >"$work/status" 2>&1; do
  sleep 0.1
done
refused ResourceNotFoundException "" describe_consumer reader ConsumerStatus

# Limits

# megabyte NUMBER: a letter of its own
megabyte() {
  head -c 1000000 /dev/zero | tr '\0' "\\$(printf %o $((65 + $1)))"
}

# put_megabytes NUMBER...: a line with the failed count, then a line a record
put_megabytes() {
  {
    echo -n '{"StreamName":"limited","Records":['
    for count in "$@"; do
      printf '{"PartitionKey":"a","Data":"%s"}' "$(megabyte "$count")"
      [ "$count" = "${!#}" ] || echo -n ,
    done
    echo -n ']}'
  } >"$work/megabytes.json"
  kinesis put-records --cli-input-json "file://$work/megabytes.json" --query '[[[to_string(FailedRecordCount)]],
    Records[].[ErrorCode,ErrorMessage,ShardId,SequenceNumber]][]'
}

step 38 "throttled entries"
kinesis create-stream --stream-name limited --shard-count 1 --max-record-size-in-ki-b 10240
until_active limited
equal "$(put_megabytes {0..9} | head -n 1)" 0
put_megabytes {10..14} >"$work/put"
failed=()
count=10
while IFS=$'\t' read -r code text landed sequence; do
  if [ "$code" = None ]; then
    equal "$text	$landed	${#sequence}" "None	$(shard 0)	56"
  else
    equal "$code	$text	$landed	$sequence" "ProvisionedThroughputExceededException	$throttled	None	None"
    failed+=("$count")
  fi
  count=$((count + 1))
done < <(sed 1d "$work/put")
equal "$count" 15
equal "$(head -n 1 "$work/put")" ${#failed[@]}
[ ${#failed[@]} -gt 0 ] || fail "nothing was throttled"

step 39 "throttled call"
head -c 9000000 /dev/zero >"$work/large"
refused ProvisionedThroughputExceededException "$throttled" \
  without_retries put-record --stream-name limited --partition-key a --data "fileb://$work/large"

step 40 retries
for count in "${failed[@]}"; do
  megabyte "$count" >"$work/megabyte"
  kinesis put-record --stream-name limited --partition-key a --data "fileb://$work/megabyte" >"$work/put"
done
read_to_tip "$(iterator limited "$(shard 0)" TRIM_HORIZON)"
expected=$(for count in {0..14}; do megabyte "$count" | base64 -w 0 | sha256sum; done | sort)
found=$(cut -f 5 "$work/records" | while read -r data; do echo -n "$data" | sha256sum; done | sort)
equal "$found" "$expected"

# Settings

stream_tags() {
  kinesis list-tags-for-stream --stream-name clicks --query "[Tags[].join('=',[Key,Value])|join(' ',@),to_string(HasMoreTags)]" "$@"
}

resource_tags() {
  kinesis list-tags-for-resource --resource-arn "$1" --query "Tags[].join('=',[Key,Value])|sort(@)|join(' ',@)"
}

step 41 "tags of a stream"
kinesis add-tags-to-stream --stream-name clicks --tags env=test,owner=ü
equal "$(stream_tags --limit 2)" "env=test owner=ü	true"
equal "$(stream_tags --exclusive-start-tag-key owner)" "team=web	false"
kinesis remove-tags-from-stream --stream-name clicks --tag-keys env none
equal "$(stream_tags)" "owner=ü team=web	false"

step 42 "tags of a resource"
kinesis tag-resource --resource-arn $arn/clicks --tags cost=1
equal "$(resource_tags $arn/clicks)" "cost=1 owner=ü team=web"
kinesis untag-resource --resource-arn $arn/clicks --tag-keys cost
equal "$(resource_tags $arn/clicks)" "owner=ü team=web"
kinesis tag-resource --resource-arn "${consumers[late]}" --tags cost=1
equal "$(resource_tags "${consumers[late]}")" cost=1
kinesis untag-resource --resource-arn "${consumers[late]}" --tag-keys cost
equal "$(resource_tags "${consumers[late]}")" ""

step 43 policy
get_policy() {
  kinesis get-resource-policy --resource-arn $arn/clicks --query Policy
}
delete_policy() {
  kinesis delete-resource-policy --resource-arn $arn/clicks
}
equal "$(get_policy)" "{}"
kinesis put-resource-policy --resource-arn $arn/clicks --policy "$policy"
equal "$(get_policy)" "$policy"
delete_policy
equal "$(get_policy)" "{}"
refused ResourceNotFoundException "" delete_policy

step 44 encryption
key=(--stream-name clicks --encryption-type KMS --key-id alias/aws/kinesis)
kinesis start-stream-encryption "${key[@]}"
until_active clicks
equal "$(summary clicks '[EncryptionType,KeyId]')" "KMS	alias/aws/kinesis"
IFS=$'\t' read -r landed secret encryption < <(put clicks secret --explicit-hash-key $most)
equal "$landed	$encryption" "$(shard 1)	KMS"
kinesis stop-stream-encryption "${key[@]}"
until_active clicks
equal "$(summary clicks '[EncryptionType,KeyId]')" "NONE	None"
equal "$(put clicks open --explicit-hash-key $most | cut -f 3)" None
read_to_tip "$(iterator clicks "$(shard 1)" AT_SEQUENCE_NUMBER --starting-sequence-number "$secret")"
equal "$(texts <"$work/records")" "$(lines secret open)"
equal "$(cut -f 3 "$work/records")" "$(lines KMS None)"

step 45 retention
increase() {
  kinesis increase-stream-retention-period --stream-name clicks --retention-period-hours "$1"
}
decrease() {
  kinesis decrease-stream-retention-period --stream-name clicks --retention-period-hours "$1"
}
increase 48
until_active clicks
equal "$(summary clicks RetentionPeriodHours)" 48
refused InvalidArgumentException "Requested retention period (24 hours) for stream clicks can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API." \
  increase 24
refused InvalidArgumentException "Maximum allowed retention period is 8760 hours. Requested retention period (9000 hours) is too long." \
  increase 9000
decrease 24
until_active clicks
equal "$(summary clicks RetentionPeriodHours)" 24
refused InvalidArgumentException "Minimum allowed retention period is 24 hours. Requested retention period (12 hours) is too short." \
  decrease 12

step 46 monitoring
# monitoring enable|disable METRIC...: name, ARN, metrics before, metrics after
monitoring() {
  kinesis "$1-enhanced-monitoring" --stream-name clicks --shard-level-metrics "${@:2}" \
    --query "[StreamName,StreamARN,join(' ',sort(CurrentShardLevelMetrics)),join(' ',sort(DesiredShardLevelMetrics))]"
  until_active clicks
}
two="IncomingBytes OutgoingRecords"
equal "$(monitoring enable IncomingBytes OutgoingRecords)" "clicks	$arn/clicks		$two"
equal "$(monitoring enable ALL)" "clicks	$arn/clicks	$two	$metrics"
equal "$(summary clicks "EnhancedMonitoring[].join(' ',sort(ShardLevelMetrics))")" "$metrics"
equal "$(monitoring disable ALL)" "clicks	$arn/clicks	$metrics	"

step 47 "record size"
head -c 1048577 /dev/zero >"$work/large"
refused ValidationException "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576" \
  put clicks "fileb://$work/large"
kinesis update-max-record-size --stream-arn $arn/clicks --max-record-size-in-ki-b 10240
until_active clicks
equal "$(summary clicks MaxRecordSizeInKiB)" 10240
for _ in {1..40}; do
  cat "$work/bytes"
done >"$work/some"
for _ in {1..1024}; do
  cat "$work/some"
done >"$work/largest"
IFS=$'\t' read -r landed sequence < <(kinesis put-record --stream-name clicks --partition-key a \
  --explicit-hash-key $most --data "fileb://$work/largest" --query '[ShardId,SequenceNumber]')
page "$(iterator clicks "$landed" AT_SEQUENCE_NUMBER --starting-sequence-number "$sequence")"
equal "$(sed 1d "$work/page" | wc -l)" 1
sed 1d "$work/page" | cut -f 5 | base64 -d | cmp - "$work/largest"

step 48 mode
switch_to() {
  kinesis update-stream-mode --stream-arn $arn/growing --stream-mode-details "StreamMode=$1"
  until_active growing
  equal "$(summary growing '[StreamModeDetails.StreamMode,OpenShardCount]')" "$1	3"
}
switch_to ON_DEMAND
refused ValidationException "Request is invalid. Stream growing under account $account is in On-Demand mode." \
  split growing "$(shard 6)" $half
switch_to PROVISIONED

step 49 account
open_shards=0
for stream in clicks growing fan limited; do
  open_shards=$((open_shards + $(summary $stream OpenShardCount)))
done
equal "$(kinesis describe-limits --query '[ShardLimit,OpenShardCount,OnDemandStreamCount,OnDemandStreamCountLimit]')" \
  "20000	$open_shards	0	50"
equal "$(kinesis describe-account-settings --query MinimumThroughputBillingCommitment.Status)" DISABLED

# Errors by type

skip 50 "dry run"

step 51 validation
refused ValidationException "1 validation error detected: Value 'bad name' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+" \
  kinesis create-stream --stream-name "bad name" --shard-count 1

step 52 quota
refused LimitExceededException "This request would exceed the shard limit for the account $account in us-east-1. Current shard count for the account: $open_shards. Limit: 20000. Number of additional shards that would have resulted from this request: 100000. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits." \
  without_retries create-stream --stream-name huge --shard-count 100000

step 53 "nothing there"
refused ResourceNotFoundException "Stream missing under account $account not found." put missing nothing
refused ResourceNotFoundException "Shard $(shard 99) in stream clicks under account $account does not exist" \
  iterator clicks "$(shard 99)" LATEST

step 54 "bad arguments"
refused InvalidArgumentException "Invalid ShardIterator." kinesis get-records --shard-iterator AAAA
refused InvalidArgumentException "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter." \
  iterator clicks "$(shard 1)" AT_TIMESTAMP

skip 55 channels

# Around it

step 56 "another world"
elsewhere() {
  AWS_ACCESS_KEY_ID=123456789012 aws --region eu-west-1 kinesis "$@"
}
equal "$(elsewhere list-streams --query 'length(StreamNames)')" 0
elsewhere create-stream --stream-name clicks --shard-count 1
elsewhere wait stream-exists --stream-name clicks
found=$(elsewhere describe-stream-summary --stream-name clicks --query StreamDescriptionSummary.StreamARN)
equal "$found" arn:aws:kinesis:eu-west-1:123456789012:stream/clicks
equal "$(summary clicks StreamARN)" $arn/clicks

step 57 TLS
secure() {
  aws --endpoint-url "$KINELOG_TLS_URL" --ca-bundle "$KINELOG_TLS_CERTIFICATE" kinesis "$@"
}
found=$(secure describe-stream-summary --stream-name clicks --query StreamDescriptionSummary.StreamARN)
equal "$found" $arn/clicks
at=$(iterator clicks "$(shard 1)" LATEST)
secure put-record --stream-name clicks --partition-key a --explicit-hash-key $most --data sealed >"$work/put"
equal "$(secure get-records --shard-iterator "$at" --query 'Records[].Data' | base64 -d)" sealed
if found=$(AWS_MAX_ATTEMPTS=1 aws --endpoint-url "$KINELOG_TLS_URL" kinesis list-streams 2>&1); then
  fail "an unknown certificate was trusted"
fi
[[ $found == *"SSL validation failed"* ]] || fail "$found"

step 58 "delete with consumers"
kinesis delete-stream --stream-name fan --enforce-consumer-deletion
kinesis wait stream-not-exists --stream-name fan
refused ResourceNotFoundException "" describe_consumer late ConsumerStatus

step done ""
echo "$passed passed, 0 failed, $skipped skipped"
