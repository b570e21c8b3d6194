//! Certificates from files and of the server's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kinelog_engine::device::Device;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::{Fault, Operation, SimulatedDisk, Survive};
use kinelog_engine::types::Timestamp;
use rcgen::KeyPair;

use super::self_signed::{self, SelfSigned};
use super::{Identity, files};
use crate::limits;

const NOW: Timestamp = Timestamp(1_764_787_734_000);
const DATA: &str = "/data";

fn device(disk: &SimulatedDisk, after: Duration) -> Device {
    let now = NOW.0 + u64::try_from(after.as_millis()).unwrap();
    disk.device(Arc::new(ManualClock::new(Timestamp(now))))
}

/// A disk with an empty data directory.
async fn disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    let device = device(&disk, Duration::ZERO);
    device.files.create_dir_all(DATA.as_ref()).await.unwrap();
    device.files.sync_dir("/".as_ref()).await.unwrap();
    disk
}

async fn load(disk: &SimulatedDisk, after: Duration, names: &[&str]) -> SelfSigned {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    self_signed::load(&device(disk, after), DATA.as_ref(), &names).await.unwrap()
}

fn chain(identity: &Identity) -> Vec<Vec<u8>> {
    identity.0.cert.iter().map(|certificate| certificate.to_vec()).collect()
}

fn file(name: &str) -> PathBuf {
    Path::new(DATA).join("tls").join(name)
}

#[tokio::test]
async fn the_own_certificate_is_made_once() {
    let disk = disk().await;
    let made = load(&disk, Duration::ZERO, &["kinelog.test", "10.0.0.7"]).await;
    assert!(made.is_new);
    assert_eq!(made.authority, file("ca.pem"));
    let before = disk.snapshot();
    assert_eq!(before.keys().cloned().collect::<Vec<_>>(), [file("ca.pem"), file("server.pem")]);
    let again = load(&disk, Duration::from_hours(24), &["10.0.0.7"]).await;
    assert!(!again.is_new);
    assert_eq!(chain(&again.identity), chain(&made.identity));
    assert_eq!(disk.snapshot(), before);
}

#[tokio::test]
async fn a_certificate_that_clients_would_refuse_is_made_anew() {
    let disk = disk().await;
    let first = load(&disk, Duration::ZERO, &[]).await;
    let other_name = load(&disk, Duration::ZERO, &["kinelog.test"]).await;
    assert!(other_name.is_new);
    assert_ne!(chain(&other_name.identity), chain(&first.identity));

    let nearly_over = limits::TLS_VALID.checked_sub(limits::TLS_RENEW_BEFORE).unwrap();
    assert!(!load(&disk, nearly_over, &[]).await.is_new);
    let nearly_over = nearly_over + Duration::from_secs(1);
    assert!(load(&disk, nearly_over, &[]).await.is_new);

    for damage in [&b"\n-----BEGIN CERTIFICATE-----"[..], b"-----BEGIN PRIVATE KEY-----"] {
        disk.alter(&file("server.pem"), |bytes| {
            let at = bytes.windows(damage.len()).position(|window| window == damage).unwrap();
            bytes[at + damage.len() + 9] = b'!';
        })
        .unwrap();
        assert!(load(&disk, nearly_over, &[]).await.is_new);
    }
}

#[tokio::test]
async fn the_authority_is_written_again_when_it_is_gone() {
    let disk = disk().await;
    load(&disk, Duration::ZERO, &[]).await;
    let before = disk.snapshot();
    let files = device(&disk, Duration::ZERO).files;
    files.remove(&file("ca.pem")).await.unwrap();
    assert!(!load(&disk, Duration::ZERO, &[]).await.is_new);
    assert_eq!(disk.snapshot(), before);
}

#[tokio::test]
async fn a_failing_device_is_told_and_a_later_start_works() {
    for operation in [
        Operation::CreateDirectory,
        Operation::Create,
        Operation::Write,
        Operation::SyncData,
        Operation::Rename,
        Operation::SyncDirectory,
    ] {
        for nth in 1.. {
            let disk = disk().await;
            let calls = disk.calls(operation);
            disk.fail_nth(operation, nth, Fault::Io);
            let loaded =
                self_signed::load(&device(&disk, Duration::ZERO), DATA.as_ref(), &[]).await;
            if loaded.is_ok() {
                assert!(disk.calls(operation) < calls + nth);
                break;
            }
            let sentence = loaded.unwrap_err().to_string();
            assert!(sentence.starts_with("the certificate cannot be kept: "), "{sentence}");
            disk.clear_faults();
            load(&disk, Duration::ZERO, &[]).await;
        }
    }
}

#[tokio::test]
async fn what_was_shown_survives_a_power_cut() {
    let disk = disk().await;
    let shown = load(&disk, Duration::ZERO, &[]).await;
    for seed in 0..50 {
        let found = disk.after_power_cut(seed, Survive::Random);
        let again = load(&found, Duration::ZERO, &[]).await;
        assert_eq!((again.is_new, chain(&again.identity)), (false, chain(&shown.identity)));
    }
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_told() {
    let disk = disk().await;
    let device = disk.device(Arc::new(ManualClock::new(Timestamp(u64::MAX))));
    let error = self_signed::load(&device, DATA.as_ref(), &[]).await.unwrap_err();
    assert!(error.to_string().contains("no certificate can be made"), "{error}");
}

#[test]
fn names_are_host_names_and_addresses() {
    for name in ["kinelog", "kinelog.test", "my_service", "10.0.0.1", "::1"] {
        assert_eq!(self_signed::check_name(name).unwrap(), name);
    }
    for name in ["", "*.test", "http://localhost", "a b", "localhost:4567"] {
        let refused = self_signed::check_name(name).unwrap_err();
        assert_eq!(refused, "a host name without wildcards, or an IP address", "{name}");
    }
}

/// Certificate and key of somebody.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

async fn read(certificate: &str, key: &str) -> Result<Identity, String> {
    let content = |text: &str| text.as_bytes().to_vec();
    let disk = SimulatedDisk::from_snapshot(
        1,
        BTreeMap::from([("/c".into(), content(certificate)), ("/k".into(), content(key))]),
    );
    let files = device(&disk, Duration::ZERO).files;
    files::read(&*files, "/c".as_ref(), "/k".as_ref()).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn certificate_and_key_are_read_from_files() {
    let (certificate, key) = pair();
    assert_eq!(chain(&read(&certificate, &key).await.unwrap()).len(), 1);
    let both = certificate.clone() + &key + &pair().0;
    assert_eq!(chain(&read(&both, &both).await.unwrap()).len(), 2);
}

#[tokio::test]
async fn bad_files_are_told_in_one_sentence() {
    let (certificate, key) = pair();
    let other_key = pair().1;
    let broken = certificate.replacen('M', "!", 1);
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let advice = "; check --tls-cert and --tls-key";
    for (certificate, key, sentence) in [
        ("", &*key, format!("/c holds no certificate in PEM form{advice}")),
        (&key, &key, format!("/c holds no certificate in PEM form{advice}")),
        (&broken, &key, format!("/c holds no certificate in PEM form{advice}")),
        (
            &certificate,
            &certificate,
            format!("/k holds no private key without a passphrase in PEM form{advice}"),
        ),
        (
            &certificate,
            &other_key,
            "the certificate /c cannot be used with the key /k (".to_owned(),
        ),
        (not_x509, &key, "the certificate /c cannot be used with the key /k (".to_owned()),
    ] {
        let told = read(certificate, key).await.unwrap_err();
        assert!(told.starts_with(&sentence) && !told.contains('\n'), "{told}");
    }
    let disk = SimulatedDisk::new(1);
    let files = device(&disk, Duration::ZERO).files;
    let missing = files::read(&*files, "/c".as_ref(), "/k".as_ref()).await.unwrap_err().to_string();
    assert!(missing.contains("/c") && missing.ends_with(advice), "{missing}");
}
