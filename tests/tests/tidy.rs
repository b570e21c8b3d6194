//! The rules of CONTRIBUTING.md that a program can check, over the sources of all crates.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Longest source file without its tests, in lines.
const FILE_LINES_MAX: usize = 600;
/// Files that may hold `unsafe`.
const UNSAFE_FILES: &[&str] = &[
    "engine/src/device/mapping.rs",
    "engine/src/device/mapping/fault.rs",
    "engine/src/device/uring.rs",
];

/// Layers of the engine, lowest first. A module imports from lower ones, or from its own.
const ENGINE_LAYERS: &[&str] = &[
    "limits",
    "sync",
    "bugs",
    "config",
    "types",
    "error",
    "metrics",
    "device",
    "format",
    "append",
    "segment",
    "catalog",
    "shard",
    "commit_log",
    "recovery",
    "store",
    "engine",
];
/// Layers of the server, lowest first.
const SERVER_LAYERS: &[&str] = &[
    "limits",
    "spare",
    "aws",
    "client",
    "metrics",
    "throttle",
    "seal",
    "shard_iterator",
    "faults",
    "kinesis",
    "tls",
    "http",
    "server",
    "commands",
    "config_file",
    "migration",
    "arguments",
    "fuzzing",
];

struct Source {
    /// Path from the workspace root.
    name: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !matches!(name, "target" | "corpus" | "node_modules") && !name.starts_with('.') {
                collect(&path, into);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    for part in ["engine", "server", "bench", "fuzz", "tests"] {
        collect(&root.join(part), &mut paths);
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| Source {
            name: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
            text: std::fs::read_to_string(&path).unwrap(),
        })
        .collect()
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("tests.rs") || name.ends_with("suite.rs")
}

fn report(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn every_file_says_what_it_owns() {
    let silent: Vec<_> = sources()
        .iter()
        .filter(|s| !is_test(&s.name) && !s.text.starts_with("//!") && !s.text.starts_with("#!"))
        .map(|s| s.name.clone())
        .collect();
    report("files that do not open with //!", &silent);
}

#[test]
fn files_stay_readable_in_one_sitting() {
    let long: Vec<_> = sources()
        .iter()
        .filter(|s| !is_test(&s.name))
        .map(|s| (code_lines(&s.text), &s.name))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, name)| format!("{name}: {lines} lines"))
        .collect();
    report("files that have outgrown their room", &long);
}

/// Lines before the first test module.
fn code_lines(text: &str) -> usize {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

#[test]
fn sources_are_ascii() {
    let odd: Vec<_> = sources()
        .iter()
        .flat_map(|s| {
            let lines = s.text.lines().enumerate().filter(|(_, line)| !line.is_ascii());
            lines.map(|(n, _)| format!("{}:{}", s.name, n + 1)).collect::<Vec<_>>()
        })
        .collect();
    report("lines that are not ASCII", &odd);
}

#[test]
fn unsafe_lives_in_two_modules_only() {
    let elsewhere: Vec<_> = sources()
        .iter()
        .filter(|s| !UNSAFE_FILES.contains(&s.name.as_str()) && s.name != "tests/tests/tidy.rs")
        .filter(|s| s.text.contains("unsafe {") || s.text.contains("unsafe impl"))
        .map(|s| s.name.clone())
        .collect();
    report("unsafe outside its modules", &elsewhere);
}

#[test]
fn nothing_is_left_over() {
    let leftovers = ["todo!(", "unimplemented!(", "dbg!(", "TODO", "FIXME", "#[ignore"];
    let found: Vec<_> = sources()
        .iter()
        .filter(|s| s.name != "tests/tests/tidy.rs")
        .flat_map(|s| {
            let hits = leftovers.iter().filter(|word| s.text.contains(**word));
            hits.map(|word| format!("{}: {word}", s.name)).collect::<Vec<_>>()
        })
        .collect();
    report("leftovers", &found);
}

/// Top modules of the crate that a file names: `crate::x` in code, comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.insert(rest[..end].to_owned());
        }
    }
    found
}

fn upward_imports(prefix: &str, layers: &[&str]) -> Vec<String> {
    let rank = |module: &str| layers.iter().position(|layer| *layer == module);
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.name.starts_with(prefix) && !is_test(&s.name)) {
        let inner = &source.name[prefix.len()..];
        let module = inner.split(['/', '.']).next().unwrap();
        let Some(own) = rank(module) else {
            if !matches!(module, "lib" | "main" | "bin") {
                found.push(format!("{}: not in the list of layers", source.name));
            }
            continue;
        };
        let code = source.text.split("#[cfg(test)]").next().unwrap();
        for import in imports(code) {
            match rank(&import) {
                Some(other) if other <= own => {}
                Some(_) => found.push(format!("{} imports {import}", source.name)),
                // Macros and re-exports at the root are for callers outside.
                None => {
                    found.push(format!("{} imports crate::{import} from the root", source.name));
                }
            }
        }
    }
    found
}

#[test]
fn engine_modules_import_downwards_only() {
    report("upward imports", &upward_imports("engine/src/", ENGINE_LAYERS));
}

#[test]
fn server_modules_import_downwards_only() {
    report("upward imports", &upward_imports("server/src/", SERVER_LAYERS));
}

#[test]
fn engine_knows_nothing_of_the_wire() {
    let words = ["hyper", "amz", "http::", "X-Amz", "__type"];
    let found: Vec<_> = sources()
        .iter()
        .filter(|s| s.name.starts_with("engine/src/"))
        .flat_map(|s| {
            let hits = words.iter().filter(|word| s.text.contains(**word));
            hits.map(|word| format!("{}: {word}", s.name)).collect::<Vec<_>>()
        })
        .collect();
    report("wire words in the engine", &found);
}

#[test]
fn every_source_file_belongs_to_a_module_tree() {
    let all = sources();
    let orphans: Vec<_> = all
        .iter()
        .filter(|s| s.name.contains("/src/"))
        .filter(|s| !is_reached(&all, &s.name))
        .map(|s| s.name.clone())
        .collect();
    report("files no module declares", &orphans);
}

fn is_reached(all: &[Source], name: &str) -> bool {
    let path = Path::new(name);
    let stem = path.file_stem().unwrap().to_str().unwrap();
    if matches!(stem, "lib" | "main") || name.contains("/src/bin/") {
        return true;
    }
    let (module, directory) = if stem == "mod" {
        let directory = path.parent().unwrap();
        (directory.file_name().unwrap().to_str().unwrap(), directory.parent().unwrap())
    } else {
        (stem, path.parent().unwrap())
    };
    let parent_module = format!("{}.rs", directory.to_str().unwrap());
    let declarations = [format!("mod {module};"), format!("{module}.rs\"")];
    let parents = ["mod.rs", "lib.rs", "main.rs"].map(|f| directory.join(f));
    // A sibling of tests is declared by the file it tests: `#[path = "queue_tests.rs"]`.
    let tested = stem.strip_suffix("_tests").map(|tested| directory.join(format!("{tested}.rs")));
    let parents: Vec<_> = parents.into_iter().chain(tested).collect();
    all.iter()
        .filter(|s| parents.iter().any(|p| p == Path::new(&s.name)) || s.name == parent_module)
        .any(|s| declarations.iter().any(|d| s.text.contains(d.as_str())))
}

#[test]
fn every_limit_cites_its_source() {
    let mut bare = Vec::new();
    for source in sources().iter().filter(|s| s.name.contains("src/limits")) {
        let mut comment = String::new();
        for line in source.text.lines() {
            if line.starts_with("///") {
                comment.push_str(line);
            } else if let Some(rest) = line.strip_prefix("pub const ") {
                if !comment.contains("Source:") && !comment.contains("Reason:") {
                    bare.push(format!("{}: {}", source.name, rest.split(':').next().unwrap()));
                }
                comment.clear();
            } else if line.is_empty() {
                comment.clear();
            }
        }
    }
    report("limits without a source or a reason", &bare);
}
