//! What fuzz targets reach beside the public modules: parsers of outside bytes that the program
//! keeps to itself. It is there with the feature `fuzzing` only, and nothing of the program uses it.

use std::path::Path;

pub use crate::commands::put::fuzzing::{key_of, records};
pub use crate::http::in_memory::serve;

/// The options that a configuration file of this text gives to a server that is given no others.
///
/// # Errors
///
/// What is wrong with the file, as the program tells it.
pub fn configured(text: &str) -> Result<Vec<String>, String> {
    let program = crate::arguments::program();
    let nothing_set = program.clone().get_matches_from(["kinelog"]);
    crate::config_file::options(text, Path::new("kinelog.toml"), &program, &nothing_set)
}

/// Whether the program takes these words as its command line.
pub fn is_accepted(words: &[String]) -> bool {
    crate::arguments::program().try_get_matches_from(words).is_ok()
}
