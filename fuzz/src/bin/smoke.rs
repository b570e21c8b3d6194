//! Runs every target over its committed corpus and over random changes of it, on the stable
//! toolchain: `smoke [changes per target] [target]...` (2000 of all; fewer for targets whose inputs
//! take long). The same number always makes the same inputs. One that fails is kept in
//! `artifacts/<target>/`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fastrand::Rng;
use kinelog_fuzz::{TARGETS, Target};

const INPUT_BYTES_MAX: usize = 1 << 20;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(amount) = amount(arguments.next().as_deref()) else {
        eprintln!("usage: smoke [changes per target | --smallest=INPUTS] [target]...");
        return ExitCode::FAILURE;
    };
    let named: Vec<_> = arguments.collect();
    let is_wanted = |target: &&Target| named.is_empty() || named.iter().any(|it| it == target.name);
    let mut failed = false;
    for target in TARGETS.iter().filter(is_wanted) {
        match smoke(target, amount) {
            Ok(inputs) => println!("{}: {inputs} inputs", target.name),
            Err(message) => {
                eprintln!("{}: {message}", target.name);
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// How much of each target is tried.
#[derive(Clone, Copy)]
enum Amount {
    /// The whole corpus, and so many changes of it.
    Changes(u64),
    /// So many of the smallest inputs of the corpus.
    Smallest(usize),
}

fn amount(argument: Option<&str>) -> Option<Amount> {
    let Some(text) = argument else { return Some(Amount::Changes(2000)) };
    match text.strip_prefix("--smallest=") {
        Some(inputs) => inputs.parse().ok().map(Amount::Smallest),
        None => text.parse().ok().map(Amount::Changes),
    }
}

/// Runs one target; the number of inputs it took, or what went wrong.
fn smoke(target: &Target, amount: Amount) -> Result<u64, String> {
    let mut corpus =
        read_corpus(&folder("corpus", target.name)).map_err(|error| error.to_string())?;
    if corpus.is_empty() {
        return Err("its corpus is empty; run the binary `seeds`".to_owned());
    }
    let changes = match amount {
        Amount::Changes(changes) => (changes / target.cost).max(10),
        Amount::Smallest(inputs) => {
            corpus.sort_by_key(Vec::len);
            corpus.truncate(inputs);
            0
        }
    };
    for input in &corpus {
        try_input(target, input)?;
    }
    let mut rng = Rng::with_seed(0x006b_696e_656c_6f67);
    for _ in 0..changes {
        let mut input = corpus[rng.usize(..corpus.len())].clone();
        for _ in 0..rng.u32(1..=4) {
            change(&mut input, &corpus, &mut rng);
        }
        try_input(target, &input)?;
    }
    Ok(corpus.len() as u64 + changes)
}

fn try_input(target: &Target, input: &[u8]) -> Result<(), String> {
    if std::panic::catch_unwind(|| (target.run)(input)).is_ok() {
        return Ok(());
    }
    let folder = folder("artifacts", target.name);
    let path = folder.join("crash-smoke");
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input));
    Err(match kept {
        Ok(()) => format!("failed; the input is {}", path.display()),
        Err(error) => format!("failed; its input could not be kept: {error}"),
    })
}

/// Makes one random change.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.usize(..=input.len());
    let end = input.len().min(at + rng.usize(1..=600));
    match rng.u32(..8) {
        0 if at < input.len() => input[at] ^= 1 << rng.u32(..8),
        1 if at < input.len() => input[at] = rng.u8(..),
        2 => input[at..end].fill(0),
        3 => rng.fill(&mut input[at..end]),
        4 => input.truncate(at),
        5 => input.resize(INPUT_BYTES_MAX.min(input.len() + rng.usize(1..5000)), 0),
        6 => {
            let other = &corpus[rng.usize(..corpus.len())];
            let end = input.len().min(other.len());
            if at < end {
                input[at..end].copy_from_slice(&other[at..end]);
            }
        }
        // A small number where a field may be.
        _ if at / 4 * 4 + 4 <= input.len() => {
            let number = rng.u32(..).checked_shr(rng.u32(..32)).unwrap_or_default();
            input[at / 4 * 4..][..4].copy_from_slice(&number.to_le_bytes());
        }
        _ => {}
    }
}

/// All inputs of a folder, by name.
fn read_corpus(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    paths.iter().map(std::fs::read).collect()
}

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target)
}
