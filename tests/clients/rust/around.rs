//! Steps 56 to 58: another account and region, TLS, and the end of a stream with consumers.

use std::env::var;

use aws_sdk_kinesis::client::Waiters;
use aws_sdk_kinesis::config::SharedHttpClient;
use aws_sdk_kinesis::operation::describe_stream_consumer::DescribeStreamConsumerError;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::calls::{Clients, MOST, PATIENCE, arn, connect, refused, shard_id};
use crate::records::{read_by, texts};
use crate::step;

pub(crate) async fn run(clients: &Clients, late: &str) {
    step(56, "another world");
    another_world(clients).await;
    step(57, "TLS");
    over_tls(clients).await;

    step(58, "delete with consumers");
    let kinesis = &clients.kinesis;
    let call = kinesis.delete_stream().stream_name("fan").enforce_consumer_deletion(true);
    call.send().await.unwrap();
    kinesis.wait_until_stream_not_exists().stream_name("fan").wait(PATIENCE).await.unwrap();
    let gone = kinesis.describe_stream_consumer().consumer_arn(late).send().await;
    refused(gone, DescribeStreamConsumerError::is_resource_not_found_exception, None);
}

async fn another_world(clients: &Clients) {
    let url = var("AWS_ENDPOINT_URL_KINESIS").unwrap();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let other = connect(&url, http, 15, "eu-west-1", "123456789012");
    assert_eq!(other.list_streams().send().await.unwrap().stream_names(), [""; 0]);
    other.create_stream().stream_name("clicks").shard_count(1).send().await.unwrap();
    other.wait_until_stream_exists().stream_name("clicks").wait(PATIENCE).await.unwrap();
    let answer = other.describe_stream_summary().stream_name("clicks").send().await.unwrap();
    let there = answer.stream_description_summary.unwrap().stream_arn;
    assert_eq!(there, "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks");
    assert_eq!(clients.summary("clicks").await.stream_arn, arn("clicks"));
}

fn https(trusted: TrustStore) -> SharedHttpClient {
    let context = TlsContext::builder().with_trust_store(trusted).build();
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context.unwrap())
        .build_https()
}

#[expect(clippy::disallowed_methods, reason = "the certificate is read as a user does")]
async fn over_tls(clients: &Clients) {
    let url = var("KINELOG_TLS_URL").unwrap();
    let certificate = std::fs::read(var("KINELOG_TLS_CERTIFICATE").unwrap()).unwrap();
    let trusted = https(TrustStore::empty().with_pem_certificate(certificate));
    let secure = connect(&url, trusted, 15, "us-east-1", "AKIDEXAMPLE");
    let answer = secure.describe_stream_summary().stream_name("clicks").send().await.unwrap();
    assert_eq!(answer.stream_description_summary.unwrap().stream_arn, arn("clicks"));
    let at = clients.iterator("clicks", &shard_id(1), ShardIteratorType::Latest).await;
    let call = secure.put_record().stream_name("clicks").partition_key("a");
    let call = call.explicit_hash_key(MOST.to_string());
    call.data(aws_sdk_kinesis::primitives::Blob::new("sealed")).send().await.unwrap();
    assert_eq!(texts(&read_by(&secure, at).await), ["sealed"]);

    let distrustful = connect(&url, https(TrustStore::default()), 1, "us-east-1", "AKIDEXAMPLE");
    let refusal = distrustful.list_streams().send().await.unwrap_err();
    assert!(format!("{refusal:?}").contains("UnknownIssuer"), "{refusal:?}");
}
