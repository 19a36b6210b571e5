//! What was selected, in words: the options as [`SegmentMeta::filters`] has them, made of the values, and for recordings made
//! before segments had the values, the values made of them.

use super::meta::{SegmentMeta, Selected};
use crate::record::{ArgvMode, PrivacyMode, Protocol, Wanted};

impl Selected {
    /// `--process-rate` when it is not given, bytes each second.
    pub const PROCESS_RATE: u64 = 4 << 20;

    /// `--user-rate` when it is not given, bytes each second.
    pub const USER_RATE: u64 = 8 << 20;

    /// The options, as they are given to the capture; those that are as by default are left out.
    pub fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        let mut add = |flag: &str, value: &dyn std::fmt::Display| options.push(format!("{flag} {value}"));
        self.pids.iter().for_each(|pid| add("--pid", pid));
        self.names.iter().for_each(|name| add("--name", name));
        self.files.iter().for_each(|glob| add("--file", glob));
        self.libraries.iter().for_each(|name| add("--library", name));
        self.uids.iter().for_each(|uid| add("--uid", uid));
        self.cgroups.iter().for_each(|path| add("--cgroup", path));
        options.extend(self.manners());
        if self.follow_children {
            options.push("--follow-children".to_owned());
        }
        options.extend(self.command.iter().map(|words| format!("-- {words}")));
        options
    }

    /// Of the options those that select nothing, but say what is recorded of what is selected.
    fn manners(&self) -> Vec<String> {
        let mut manners = Vec::new();
        let switches = [
            (if self.wire == 0 { "--tls" } else { "--wire" }, self.tls),
            ("--library-calls", self.library_calls),
            ("--kernel-crypto", self.kernel_crypto),
            ("--io-uring", self.io_uring),
        ];
        for (flag, wanted) in switches {
            if flag == "--wire" && wanted == Wanted::ON && self.wire != Protocol::DEFAULT {
                let named = Protocol::NAMES.iter().filter(|(code, _)| self.looks_for(Protocol(*code)));
                let names: Vec<&str> = named.map(|(_, name)| *name).collect();
                manners.push(format!("{flag} {}", names.join(",")));
            } else if matches!(wanted, Wanted::ON | Wanted::OFF) {
                manners.push(format!("{flag} {}", wanted.name()));
            }
        }
        let rates = [
            ("--process-rate", self.process_rate, Self::PROCESS_RATE),
            ("--user-rate", self.user_rate, Self::USER_RATE),
        ];
        for (flag, rate, default) in rates {
            manners.extend(rate.filter(|rate| *rate != default).map(|rate| format!("{flag} {rate}")));
        }
        if self.algorithms == Wanted::ON {
            #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
            let percent = self.algorithms_budget_ppb as f64 / PPB_PER_PERCENT;
            manners.push(format!("--api --api-budget {percent}%"));
        }
        if matches!(self.privacy, PrivacyMode::HASH | PrivacyMode::DROP) {
            manners.push(format!("--privacy {}", self.privacy.name()));
        }
        if matches!(self.argv, ArgvMode::EXE | ArgvMode::NONE) {
            manners.push(format!("--argv {}", self.argv.name()));
        }
        manners
    }

    /// A share of a core in percent, from 0 to 100, in billionths; 0 of what is no number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and rounded on purpose")]
    pub fn ppb(percent: f64) -> u64 {
        (percent.clamp(0.0, 100.0) * PPB_PER_PERCENT).round() as u64
    }

    /// What the options of a recording say that has no values. What they do not say is unknown where it is not the same by
    /// default in every version; options that are not known say nothing here.
    pub fn from_options(options: &[String]) -> Self {
        let mut selected = Self {
            algorithms: Wanted::DEFAULT_OFF,
            privacy: PrivacyMode::OFF,
            argv: ArgvMode::FULL,
            ..Self::default()
        };
        for option in options {
            let (flag, value) = option.split_once(' ').unwrap_or((option, ""));
            let text = || value.to_owned();
            match flag {
                "--pid" => selected.pids.extend(value.parse::<u32>()),
                "--name" => selected.names.push(text()),
                "--file" => selected.files.push(text()),
                "--library" => selected.libraries.push(text()),
                "--uid" => selected.uids.extend(value.parse::<u32>()),
                "--cgroup" => selected.cgroups.push(text()),
                "--tls" => selected.tls = switch(value),
                "--library-calls" => selected.library_calls = switch(value),
                "--kernel-crypto" => selected.kernel_crypto = switch(value),
                "--io-uring" => selected.io_uring = switch(value),
                "--process-rate" => selected.process_rate = value.parse().ok(),
                "--user-rate" => selected.user_rate = value.parse().ok(),
                "--api" => {
                    selected.algorithms = Wanted::ON;
                    let percent = value.strip_prefix("--api-budget ").and_then(|budget| budget.strip_suffix('%'));
                    selected.algorithms_budget_ppb =
                        percent.and_then(|percent| percent.parse().ok()).map_or(0, Self::ppb);
                }
                "--privacy" => selected.privacy = PrivacyMode(code(PrivacyMode::NAMES, value)),
                "--argv" => selected.argv = ArgvMode(code(ArgvMode::NAMES, value)),
                "--follow-children" => selected.follow_children = true,
                "--" => selected.command = Some(text()),
                _ => {}
            }
        }
        selected
    }
}

impl SegmentMeta {
    /// The options in force: those that select nothing, but say what is recorded of what is selected, then all others. What
    /// this version does not know is one of the others, so that it never reads as if all had been recorded.
    pub fn options(&self) -> (Vec<&str>, Vec<&str>) {
        let manners = self.selected.manners();
        self.filters.iter().map(String::as_str).partition(|&option| manners.iter().any(|manner| manner == option))
    }
}

/// Billionths in a percent.
const PPB_PER_PERCENT: f64 = 1e7;

fn switch(value: &str) -> Wanted {
    match value {
        "on" => Wanted::ON,
        "off" => Wanted::OFF,
        _ => Wanted::default(),
    }
}

/// The number of a name; 0 when there is none.
fn code(names: &[(u16, &str)], name: &str) -> u16 {
    names.iter().find(|(_, known)| *known == name).map_or(0, |(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(options: &[&str]) -> Vec<String> {
        options.iter().map(|&option| option.to_owned()).collect()
    }

    #[test]
    fn options_and_values_say_the_same() {
        let check = |options: &[&str], expected: Selected| {
            assert_eq!(Selected::from_options(&owned(options)), expected, "{options:?}");
            assert_eq!(expected.options(), options);
        };
        let by_default = || Selected::from_options(&[]);
        check(&[], by_default());
        check(
            &["--pid 12", "--pid 13", "--follow-children"],
            Selected { pids: vec![12, 13], follow_children: true, ..by_default() },
        );
        check(
            &["--name a b", "--file *.pem", "--library ssl", "--uid 0", "--cgroup /x/y"],
            Selected {
                names: owned(&["a b"]),
                files: owned(&["*.pem"]),
                libraries: owned(&["ssl"]),
                uids: vec![0],
                cgroups: owned(&["/x/y"]),
                ..by_default()
            },
        );
        check(
            &["--tls off", "--library-calls on", "--kernel-crypto off", "--io-uring on"],
            Selected {
                tls: Wanted::OFF,
                library_calls: Wanted::ON,
                kernel_crypto: Wanted::OFF,
                io_uring: Wanted::ON,
                ..by_default()
            },
        );
        check(
            &["--process-rate 0", "--user-rate 5", "--privacy hash", "--argv none", "-- "],
            Selected {
                process_rate: Some(0),
                user_rate: Some(5),
                privacy: PrivacyMode::HASH,
                argv: ArgvMode::NONE,
                command: Some(String::new()),
                ..by_default()
            },
        );
        check(&["-- ./x --tls off"], Selected { command: Some("./x --tls off".to_owned()), ..by_default() });
        for (budget, ppb) in [("1%", 10_000_000), ("0.1%", 1_000_000), ("12.3456789%", 123_456_789)] {
            let option = format!("--api --api-budget {budget}");
            check(&[&option], Selected { algorithms: Wanted::ON, algorithms_budget_ppb: ppb, ..by_default() });
        }
    }

    #[test]
    fn what_is_so_by_default_is_no_option() {
        let selected = Selected {
            tls: Wanted::DEFAULT_ON,
            library_calls: Wanted::DEFAULT_OFF,
            process_rate: Some(Selected::PROCESS_RATE),
            user_rate: Some(Selected::USER_RATE),
            ..Selected::from_options(&[])
        };
        assert!(selected.options().is_empty());
    }

    #[test]
    fn options_that_are_not_known_restrict() {
        let filters = owned(&["--argv none", "--privacy odd", "--new x", "-- ./x"]);
        let selected = Box::new(Selected::from_options(&filters));
        let meta = SegmentMeta { filters, selected, ..SegmentMeta::default() };
        assert_eq!(meta.options(), (vec!["--argv none"], vec!["--privacy odd", "--new x", "-- ./x"]));
    }
}
