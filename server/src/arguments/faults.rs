//! Options of faults injected on purpose.

use std::path::PathBuf;

use clap::Args;

use crate::faults::{Rule, RuleSet};
use crate::kinesis::Operation;

/// Which faults are injected from the start.
#[derive(Args, Debug)]
pub(super) struct FaultOptions {
    /// Fault to inject on purpose, such as `PutRecords:stream=orders:p=0.1:partial=0.3` or
    /// `GetRecords:p=0.01:throttle`; may be given more than once, see docs/faults.md
    #[arg(long, value_name = "RULE", env = "KINELOG_FAULT", value_delimiter = ';', value_parser = rule)]
    fault: Vec<Rule>,
    /// TOML file with further such rules
    #[arg(long, value_name = "FILE", env = "KINELOG_FAULT_FILE")]
    fault_file: Option<PathBuf>,
    /// Seed of the faults' random numbers: one seed strikes alike
    #[arg(long, value_name = "NUMBER", env = "KINELOG_FAULT_SEED")]
    fault_seed: Option<u64>,
}

impl FaultOptions {
    /// The rules.
    ///
    /// # Errors
    ///
    /// One sentence about the file or the number of rules.
    pub(super) fn rules(&self) -> Result<RuleSet, String> {
        let mut rules = RuleSet::new(self.fault_seed);
        self.fault.iter().cloned().try_for_each(|rule| rules.add(rule))?;
        if let Some(path) = &self.fault_file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                format!("the faults {} cannot be read: {error}; check --fault-file", path.display())
            })?;
            let further = RuleSet::from_toml(&text, Operation::NAMES);
            let named = |sentence| format!("{}: {sentence}", path.display());
            rules.extend(further.map_err(named)?)?;
        }
        Ok(rules)
    }
}

fn rule(text: &str) -> Result<Rule, String> {
    Rule::parse(text, Operation::NAMES)
}
