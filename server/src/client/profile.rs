//! The files of the AWS command line: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::HashMap;

/// Keys and values of one section.
pub(super) type Section = HashMap<String, String>;

/// The section of a profile in the text of a credentials file.
pub(super) fn in_credentials(text: &str, profile: &str) -> Option<Section> {
    section(text, |name| name == profile)
}

/// The section of a profile in the text of a configuration file, where all but the default one have
/// a word before their name.
pub(super) fn in_config(text: &str, profile: &str) -> Option<Section> {
    section(text, |name| {
        let named = name.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
        named.map(str::trim) == Some(profile) || (profile == "default" && name == "default")
    })
}

/// Reads the sections with such a name as one.
fn section(text: &str, is_wanted: impl Fn(&str) -> bool) -> Option<Section> {
    let mut found = None::<Section>;
    let mut is_in = false;
    for line in text.lines() {
        // An indented line belongs to a value of many lines, of which none is of use here.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_in = is_wanted(name.trim());
            if is_in {
                found.get_or_insert_default();
            }
        } else if is_in && let Some((key, value)) = line.split_once('=') {
            let section = found.get_or_insert_default();
            section.insert(key.trim().to_ascii_lowercase(), without_comment(value).to_owned());
        }
    }
    found
}

/// A comment after a value starts with a space.
fn without_comment(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or_default();
    value.split(" ;").next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=b/=\n\
                               \n[ other ]\nAWS_ACCESS_KEY_ID = O # old\n; x = y\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\ns3 =\n  region = nowhere\n\
                          [profile other]\nregion=eu-west-2\n[sso-session other]\nregion = no\n";

    fn value(section: Option<Section>, key: &str) -> Option<String> {
        section.and_then(|mut section| section.remove(key))
    }

    #[test]
    fn credentials_are_found_by_the_name_of_their_section() {
        let of = |profile, key| value(in_credentials(CREDENTIALS, profile), key);
        assert_eq!(of("default", "aws_access_key_id").as_deref(), Some("A"));
        assert_eq!(of("default", "aws_secret_access_key").as_deref(), Some("b/="));
        assert_eq!(of("other", "aws_access_key_id").as_deref(), Some("O"));
        assert_eq!(of("other", "x"), None);
        assert_eq!(in_credentials(CREDENTIALS, "missing"), None);
    }

    #[test]
    fn configurations_are_found_by_the_word_profile_and_their_name() {
        let of = |profile| value(in_config(CONFIG, profile), "region");
        assert_eq!(of("default").as_deref(), Some("eu-west-1"));
        assert_eq!(of("other").as_deref(), Some("eu-west-2"));
        assert_eq!(of("profile other"), None);
        assert_eq!(of("profile"), None);
    }

    #[test]
    fn text_of_any_kind_is_no_trouble() {
        for text in ["", "[", "[]", "=", "[a\n=b", "a=b\n[x]", "[default] \n x"] {
            assert!(in_credentials(text, "nobody").is_none(), "{text}");
        }
    }
}
