//! The shortest story that still fails: steps are left out as long as something is wrong.

use super::options::Options;
use super::run::run;
use super::story::Story;

/// Most runs that one search takes.
const RUNS_MAX: usize = 400;

/// Leaves out what a failure does not need: long stretches first, then single steps.
pub fn shrink(options: &Options, story: &Story) -> Story {
    let (mut best, mut runs) = (story.clone(), 0);
    let mut length = best.0.len().div_ceil(2);
    while length > 0 && runs < RUNS_MAX {
        let mut at = 0;
        let mut is_shorter = false;
        while at < best.0.len() && runs < RUNS_MAX {
            let mut fewer = best.clone();
            fewer.0.drain(at..(at + length).min(best.0.len()));
            runs += 1;
            if run(options, &fewer).wrong.is_empty() {
                at += length;
            } else {
                best = fewer;
                is_shorter = true;
            }
        }
        if !is_shorter || length > 1 {
            length /= 2;
        }
    }
    best
}

/// The shortest story of a failure, with all it takes to see it again.
pub fn shortest(options: &Options, story: &Story) -> String {
    let short = shrink(options, story);
    let wrong = run(options, &short).wrong.join("\n  ");
    format!("{options}\n{short}  {wrong}")
}
