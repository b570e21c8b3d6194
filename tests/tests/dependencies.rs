//! Whose code is let in: `dependencies.txt` names every crate with its licence, `deny.toml` the licences
//! that are allowed and what may be there twice. A crate that nobody has written down is not built on.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

const LOCK_FILES: &[&str] =
    &["Cargo.lock", "fuzz/Cargo.lock", "engine/loom/Cargo.lock", "engine/shuttle/Cargo.lock"];

/// One `[[package]]` of a lock file.
struct Locked {
    name: String,
    version: String,
    /// Where it comes from; nowhere else than here when there is none.
    source: Option<String>,
    sum: Option<String>,
}

fn text(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(name)).unwrap()
}

fn packages(lock_file: &str) -> Vec<Locked> {
    let text = text(lock_file);
    let parts = text.split("[[package]]").skip(1);
    let packages: Vec<_> = parts
        .map(|part| {
            let field = |name: &str| {
                let mut lines = part.lines().filter_map(|line| line.strip_prefix(name));
                let value = lines.find_map(|rest| rest.strip_prefix(" = "));
                value.map(|value| value.trim_matches('"').to_owned())
            };
            let (name, version) = (field("name").unwrap(), field("version").unwrap());
            Locked { name, version, source: field("source"), sum: field("checksum") }
        })
        .collect();
    assert!(packages.len() > 10, "{lock_file} names crates");
    packages
}

/// The crates of others in all lock files.
fn foreign() -> Vec<Locked> {
    let all = LOCK_FILES.iter().flat_map(|lock_file| packages(lock_file));
    all.filter(|package| package.source.is_some()).collect()
}

/// Crates and licences of `dependencies.txt`.
fn listed() -> BTreeMap<String, String> {
    let text = text("dependencies.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let listed = lines.map(|line| {
        let (name, licence) = line.split_once(' ').unwrap();
        (name.to_owned(), licence.trim().to_owned())
    });
    listed.collect()
}

/// The quoted words that follow `before` on their lines, in the list `name` of `deny.toml`.
fn denied(name: &str, before: &str) -> BTreeSet<String> {
    let text = text("deny.toml");
    let (_, list) = text.split_once(&format!("\n{name} = [\n")).unwrap();
    let (list, _) = list.split_once("\n]\n").unwrap();
    let words = list.lines().map(|line| {
        let rest = line.trim_start().strip_prefix(before).unwrap();
        rest.split('"').nth(1).unwrap().to_owned()
    });
    words.collect()
}

/// Some crates of old write OR as a slash.
fn in_words(licence: &str) -> String {
    licence.replace(" / ", " OR ").replace('/', " OR ")
}

/// True when every part of a licence leaves a choice that is allowed.
fn is_allowed(licence: &str, allowed: &BTreeSet<String>) -> bool {
    licence.split(" AND ").all(|part| {
        let part = part.trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|choice| allowed.contains(choice))
    })
}

fn none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn every_crate_is_written_down_and_none_besides() {
    let locked: BTreeSet<_> = foreign().into_iter().map(|package| package.name).collect();
    let listed: BTreeSet<_> = listed().into_keys().collect();
    let new: Vec<_> = locked.difference(&listed).cloned().collect();
    let gone: Vec<_> = listed.difference(&locked).cloned().collect();
    none("crates to look at, and to add to dependencies.txt", &new);
    none("crates to take out of dependencies.txt", &gone);
}

#[test]
fn every_crate_comes_from_the_registry_and_has_its_sum() {
    let odd = |package: &Locked| {
        let has_sum = package.sum.as_ref().is_some_and(|sum| sum.len() == 64);
        let is_published = package.source.as_ref().is_some_and(|it| it.starts_with("registry+"));
        !is_published || !has_sum
    };
    let sources: BTreeSet<_> = foreign().into_iter().map(|package| package.source).collect();
    assert_eq!(sources.len(), 1, "one registry has them all: {sources:?}");
    let odd: Vec<_> = foreign().into_iter().filter(odd).map(|package| package.name).collect();
    none("crates from elsewhere, or without a sum", &odd);
    let paths = LOCK_FILES.iter().flat_map(|lock_file| packages(lock_file));
    let paths = paths.filter(|package| package.source.is_none()).map(|package| package.name);
    let strange: Vec<_> = paths.filter(|name| !name.starts_with("kinelog")).collect();
    none("crates from a path that are not ours", &strange);
}

#[test]
fn every_licence_is_allowed() {
    let allowed = denied("allow", "");
    let refused: Vec<_> = listed()
        .into_iter()
        .filter(|(_, licence)| !is_allowed(licence, &allowed))
        .map(|(name, licence)| format!("{name}: {licence}"))
        .collect();
    none("licences that deny.toml does not allow", &refused);
}

#[test]
fn a_licence_is_allowed_when_every_part_of_it_is() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for licence in ["MIT", "GPL-3.0 OR MIT", "MIT AND ISC", "(GPL-3.0 OR MIT) AND ISC"] {
        assert!(is_allowed(licence, &allowed), "{licence}");
    }
    for licence in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR MIT) AND GPL-3.0", "MIT-0", ""] {
        assert!(!is_allowed(licence, &allowed), "{licence}");
    }
}

/// What the crates themselves say, of those that are compiled here.
#[test]
fn every_licence_is_what_its_crate_says() {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let about = String::from_utf8(rustc.stdout).unwrap();
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", host])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let foreign: Vec<_> = packages.iter().filter(|package| !package["source"].is_null()).collect();
    assert!(foreign.len() > 100, "{} crates are compiled", foreign.len());
    let listed = listed();
    let wrong: Vec<_> = foreign
        .into_iter()
        .filter_map(|package| {
            let name = package["name"].as_str()?;
            let licence = in_words(package["license"].as_str().unwrap_or("none"));
            (listed.get(name) != Some(&licence)).then(|| format!("{name}: {licence}"))
        })
        .collect();
    none("licences that dependencies.txt has otherwise", &wrong);
}

#[test]
fn a_crate_is_there_once_unless_there_is_a_reason() {
    let reasons = denied("skip", "{ crate = ");
    let mut needed = BTreeSet::new();
    let mut twice = Vec::new();
    for lock_file in LOCK_FILES {
        let mut versions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for package in packages(lock_file) {
            versions.entry(package.name).or_default().push(package.version);
        }
        for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
            let places = versions.iter().map(|version| format!("{name}@{version}"));
            let (known, others): (Vec<_>, Vec<_>) = places.partition(|it| reasons.contains(it));
            needed.extend(known);
            if others.len() > 1 {
                twice.push(format!("{lock_file}: {}", others.join(" ")));
            }
        }
    }
    none("crates that are there twice", &twice);
    let idle: Vec<_> = reasons.difference(&needed).cloned().collect();
    none("reasons that are needed no more", &idle);
}
