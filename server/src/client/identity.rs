//! Who calls, and in which region: what was said on the command line, else in the environment, else
//! in the files of the AWS command line. Local endpoints take any key, so there one is made up.

use std::path::{Path, PathBuf};

use super::endpoint::{Endpoint, EndpointName};
use super::profile::{self, Section};
use crate::aws::sigv4::signing::Credentials;

/// Where calls go unless told otherwise.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4567";
const DEFAULT_REGION: &str = "us-east-1";
const DEFAULT_PROFILE: &str = "default";
/// The key of somebody who has none.
const NOBODY: &str = "kinelog";

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Where calls go.
    pub endpoint: Option<EndpointName>,
    /// Where signatures hold.
    pub region: Option<String>,
    /// Section of the files to be used.
    pub profile: Option<String>,
    /// Key id.
    pub access_key: Option<String>,
    /// Key.
    pub secret_key: Option<String>,
}

/// Where calls go and who makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Where calls go.
    pub endpoint: Endpoint,
    /// Where signatures hold.
    pub region: String,
    /// Who signs.
    pub credentials: Credentials,
}

/// What the program may read of its surroundings.
pub trait Surroundings {
    /// A variable that is not empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file, if it is there.
    fn file(&self, path: &Path) -> Option<String>;
}

/// Those of this process.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Surroundings for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn file(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }
}

/// Finds out.
///
/// # Errors
///
/// One sentence that says what to do.
pub fn find(wishes: &Wishes, around: &dyn Surroundings) -> Result<Identity, String> {
    let variable = |name: &str| around.variable(name);
    let files = Files::read(wishes, around);
    let named = match wishes.endpoint.clone() {
        Some(named) => named,
        None => endpoint_of_environment(around)?,
    };
    let region_known = wishes
        .region
        .clone()
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .or_else(|| files.value("region"));
    let endpoint = match named {
        EndpointName::Url(endpoint) => endpoint,
        EndpointName::Aws => Endpoint::aws(
            region_known
                .as_deref()
                .ok_or("the region of AWS is not known; give --region or set AWS_REGION")?,
        )?,
    };
    let region = region_known
        .or_else(|| endpoint.region().map(str::to_owned))
        .unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let credentials = match files.credentials(wishes, around)? {
        Some(credentials) => credentials,
        None if endpoint.is_aws() => {
            return Err("AWS needs a key and none was found; set AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY or give --profile"
                .to_owned());
        }
        None => key(NOBODY, NOBODY, None),
    };
    Ok(Identity { endpoint, region, credentials })
}

fn endpoint_of_environment(around: &dyn Surroundings) -> Result<EndpointName, String> {
    for name in ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"] {
        if let Some(url) = around.variable(name) {
            return url.parse().map_err(|form| format!("{name} is {url}, but {form}"));
        }
    }
    DEFAULT_ENDPOINT.parse().map_err(str::to_owned)
}

fn key(access_key: &str, secret_key: &str, session_token: Option<String>) -> Credentials {
    let (access_key, secret_key) = (access_key.to_owned(), secret_key.to_owned());
    Credentials { access_key, secret_key, session_token }
}

/// What the files of the AWS command line say of one profile.
struct Files {
    profile: String,
    credentials: Option<Section>,
    config: Option<Section>,
}

impl Files {
    fn read(wishes: &Wishes, around: &dyn Surroundings) -> Self {
        let profile = wishes.profile.clone().or_else(|| around.variable("AWS_PROFILE"));
        let profile = profile.unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        let text = |variable: &str, name: &str| {
            let path = around.variable(variable).map(PathBuf::from);
            let at_home = || Some(Path::new(&around.variable("HOME")?).join(".aws").join(name));
            around.file(&path.or_else(at_home)?)
        };
        let credentials = text("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let config = text("AWS_CONFIG_FILE", "config");
        Self {
            credentials: credentials.and_then(|text| profile::in_credentials(&text, &profile)),
            config: config.and_then(|text| profile::in_config(&text, &profile)),
            profile,
        }
    }

    fn value(&self, key: &str) -> Option<String> {
        let sections = [&self.credentials, &self.config].into_iter().flatten();
        sections.filter_map(|section| section.get(key)).find(|value| !value.is_empty()).cloned()
    }

    /// A profile that was asked for counts more than the environment, as with the AWS tools.
    fn credentials(
        &self,
        wishes: &Wishes,
        around: &dyn Surroundings,
    ) -> Result<Option<Credentials>, String> {
        if let Some(access_key) = &wishes.access_key {
            let secret_key = wishes.secret_key.as_deref().unwrap_or(NOBODY);
            return Ok(Some(key(access_key, secret_key, None)));
        }
        if wishes.profile.is_some() {
            return self.of_profile().map(Some);
        }
        if let Some(access_key) = around.variable("AWS_ACCESS_KEY_ID") {
            let secret_key = around.variable("AWS_SECRET_ACCESS_KEY").ok_or(
                "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not; set both or neither",
            )?;
            return Ok(Some(key(&access_key, &secret_key, around.variable("AWS_SESSION_TOKEN"))));
        }
        let is_named = around.variable("AWS_PROFILE").is_some();
        let has_key = self.value("aws_access_key_id").is_some();
        if is_named || has_key { self.of_profile().map(Some) } else { Ok(None) }
    }

    fn of_profile(&self) -> Result<Credentials, String> {
        let profile = &self.profile;
        let (access_key, secret_key) =
            (self.value("aws_access_key_id"), self.value("aws_secret_access_key"));
        if let (Some(access_key), Some(secret_key)) = (access_key, secret_key) {
            return Ok(key(&access_key, &secret_key, self.value("aws_session_token")));
        }
        if self.credentials.is_none() && self.config.is_none() {
            return Err(format!("there is no profile {profile}; check --profile and AWS_PROFILE"));
        }
        Err(format!(
            "the profile {profile} holds no key; if it gets one from elsewhere, run \
             `eval \"$(aws configure export-credentials --profile {profile} --format env)\"` first \
             and leave --profile and AWS_PROFILE out"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[derive(Default)]
    struct Fake {
        variables: HashMap<&'static str, &'static str>,
        files: HashMap<&'static str, &'static str>,
    }

    impl Surroundings for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).map(|value| (*value).to_owned())
        }

        fn file(&self, path: &Path) -> Option<String> {
            self.files.get(path.to_str().unwrap()).map(|text| (*text).to_owned())
        }
    }

    fn around(variables: &[(&'static str, &'static str)]) -> Fake {
        let credentials = "[default]\naws_access_key_id=FILE\naws_secret_access_key=fs\n\
                           [work]\naws_access_key_id=WORK\naws_secret_access_key=ws\n\
                           aws_session_token=wt\nregion=eu-south-1\n";
        let config = "[default]\nregion=eu-north-1\n[profile sso]\nsso_session=x\n";
        let files = [("/h/.aws/credentials", credentials), ("/h/.aws/config", config)];
        Fake { variables: variables.iter().copied().collect(), files: files.into() }
    }

    fn found(wishes: &Wishes, variables: &[(&'static str, &'static str)]) -> Identity {
        find(wishes, &around(variables)).unwrap()
    }

    fn refused(wishes: &Wishes, variables: &[(&'static str, &'static str)]) -> String {
        find(wishes, &around(variables)).unwrap_err()
    }

    const HOME: (&str, &str) = ("HOME", "/h");
    const KEY: [(&str, &str); 3] = [
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "es"),
        ("AWS_SESSION_TOKEN", "et"),
    ];

    #[test]
    fn nothing_said_is_a_local_endpoint_and_a_key_made_up() {
        let found = found(&Wishes::default(), &[]);
        assert_eq!(found.endpoint.to_string(), DEFAULT_ENDPOINT);
        assert_eq!(found.region, "us-east-1");
        assert_eq!(found.credentials, key("kinelog", "kinelog", None));
    }

    #[test]
    fn the_variable_of_the_service_counts_more_than_that_of_all() {
        let all = ("AWS_ENDPOINT_URL", "http://all:1");
        let kinesis = ("AWS_ENDPOINT_URL_KINESIS", "https://kinesis:2");
        let url = |variables: &[_]| found(&Wishes::default(), variables).endpoint.to_string();
        assert_eq!(url(&[all]), "http://all:1");
        assert_eq!(url(&[all, kinesis]), "https://kinesis:2");
        let wishes = Wishes { endpoint: "http://flag:3".parse().ok(), ..Wishes::default() };
        assert_eq!(found(&wishes, &[all, kinesis]).endpoint.to_string(), "http://flag:3");
        let sentence = refused(&Wishes::default(), &[("AWS_ENDPOINT_URL", "all:1")]);
        assert!(
            sentence.starts_with("AWS_ENDPOINT_URL is all:1, but an endpoint is"),
            "{sentence}"
        );
    }

    #[test]
    fn regions_are_asked_for_in_order() {
        let region = |wishes: &Wishes, variables: &[_]| found(wishes, variables).region;
        let default = ("AWS_DEFAULT_REGION", "b");
        let none = Wishes::default();
        assert_eq!(region(&none, &[HOME]), "eu-north-1");
        assert_eq!(region(&none, &[HOME, default]), "b");
        assert_eq!(region(&none, &[HOME, default, ("AWS_REGION", "a")]), "a");
        let wished = Wishes { region: Some("c".to_owned()), ..Wishes::default() };
        assert_eq!(region(&wished, &[HOME, ("AWS_REGION", "a")]), "c");
        let url = "https://kinesis.ca-west-1.amazonaws.com".parse().ok();
        let aws = Wishes { endpoint: url, access_key: Some("A".to_owned()), ..Wishes::default() };
        assert_eq!(region(&aws, &[]), "ca-west-1");
    }

    #[test]
    fn aws_itself_wants_a_region_and_a_key() {
        let aws = Wishes { endpoint: Some(EndpointName::Aws), ..Wishes::default() };
        assert!(refused(&aws, &KEY).contains("give --region or set AWS_REGION"));
        let region = ("AWS_REGION", "eu-west-1");
        assert!(refused(&aws, &[region]).contains("set AWS_ACCESS_KEY_ID and"));
        let found = found(&aws, &[&KEY[..], &[region]].concat());
        assert_eq!(found.endpoint.to_string(), "https://kinesis.eu-west-1.amazonaws.com");
    }

    #[test]
    fn keys_are_asked_for_in_order() {
        let credentials = |wishes: &Wishes, variables: &[_]| found(wishes, variables).credentials;
        let none = Wishes::default();
        let token = |text: &str| Some(text.to_owned());
        assert_eq!(credentials(&none, &[HOME]), key("FILE", "fs", None));
        let environment = [&KEY[..], &[HOME]].concat();
        assert_eq!(credentials(&none, &environment), key("ENV", "es", token("et")));
        let profile = ("AWS_PROFILE", "work");
        assert_eq!(credentials(&none, &[HOME, profile]), key("WORK", "ws", token("wt")));
        let both = [&environment[..], &[profile]].concat();
        assert_eq!(credentials(&none, &both), key("ENV", "es", token("et")));
        let work = Wishes { profile: Some("work".to_owned()), ..Wishes::default() };
        assert_eq!(credentials(&work, &environment), key("WORK", "ws", token("wt")));
        let account = Wishes { access_key: Some("123456789012".to_owned()), ..Wishes::default() };
        assert_eq!(credentials(&account, &[HOME]), key("123456789012", "kinelog", None));
    }

    #[test]
    fn files_may_lie_elsewhere() {
        let mut around =
            around(&[("AWS_SHARED_CREDENTIALS_FILE", "/c"), ("AWS_CONFIG_FILE", "/d")]);
        around.files.insert("/c", "[default]\naws_access_key_id=C\naws_secret_access_key=s");
        around.files.insert("/d", "[default]\nregion=r");
        let found = find(&Wishes::default(), &around).unwrap();
        assert_eq!((found.credentials, found.region), (key("C", "s", None), "r".to_owned()));
    }

    #[test]
    fn what_is_half_said_is_told() {
        let none = Wishes::default();
        assert!(refused(&none, &[KEY[0]]).contains("set both or neither"));
        let profile = |name: &str| Wishes { profile: Some(name.to_owned()), ..Wishes::default() };
        assert!(refused(&profile("nobody"), &[HOME]).contains("there is no profile nobody"));
        let sentence = refused(&profile("sso"), &[HOME]);
        assert!(sentence.contains("export-credentials --profile sso --format env"), "{sentence}");
    }
}
