//! Where signing keys come from. A key is never printed and never stored by us.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use alloy::signers::local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use service::config::Section;

/// What a configuration is told to hold.
const REFERENCE: &str = "a key reference: env:NAME, file:PATH or keystore:PATH?password=env:NAME";

/// A reference to a signing key, as a configuration names it.
///
/// | text | meaning |
/// |---|---|
/// | `env:NAME` | hexadecimal key in an environment variable |
/// | `file:PATH` | hexadecimal key in a file |
/// | `keystore:PATH?password=env:NAME` | encrypted keystore (`eth` v3); the password from a variable or `file:PATH` |
/// | `mnemonic:INDEX:WORDS` | account of a mnemonic, for development |
/// | 64 hexadecimal digits | the key itself, for development |
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Hexadecimal key in an environment variable.
    Env(String),
    /// Hexadecimal key in a file.
    File(PathBuf),
    /// Encrypted keystore.
    Keystore {
        /// The JSON file.
        path: PathBuf,
        /// Where its password is.
        password: Password,
    },
    /// Account `m/44'/60'/0'/0/index` of a mnemonic.
    Mnemonic {
        /// Number of the account.
        index: u32,
        /// The words.
        phrase: String,
    },
    /// The key itself.
    Raw(String),
}

/// Where the password of a keystore is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// In an environment variable.
    Env(String),
    /// The first line of a file.
    File(PathBuf),
}

/// A key that cannot be had. No variant holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no reference to a key.
    #[error(
        "not a key reference: expected env:NAME, file:PATH, keystore:PATH?password=env:NAME or 64 hexadecimal digits"
    )]
    Malformed,
    /// The environment variable is not set.
    #[error("environment variable {name} is not set")]
    Unset {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// What was found is no key of secp256k1.
    #[error("{source_name} holds no private key (64 hexadecimal digits, not zero)")]
    NotAKey {
        /// The reference, without the key.
        source_name: String,
    },
    /// The keystore does not open: wrong password or not a keystore.
    #[error("keystore {path} does not open: {detail}")]
    Keystore {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        detail: String,
    },
}

impl KeySource {
    /// Loads the key. Reading a keystore takes about a second by design.
    pub fn load(&self) -> Result<PrivateKeySigner, Error> {
        match self {
            Self::Env(name) => self.parse(&read_env(name)?),
            Self::File(path) => self.parse(&read_file(path)?),
            Self::Raw(text) => self.parse(text),
            Self::Keystore { path, password } => {
                let password = match password {
                    Password::Env(name) => read_env(name)?,
                    Password::File(path) => read_file(path)?,
                };
                PrivateKeySigner::decrypt_keystore(path, password.trim_end_matches(['\r', '\n']))
                    .map_err(|error| Error::Keystore {
                        path: path.clone(),
                        detail: error.to_string(),
                    })
            }
            Self::Mnemonic { index, phrase } => MnemonicBuilder::<English>::default()
                .phrase(phrase.as_str())
                .index(*index)
                .and_then(|account| account.build())
                .map_err(|_| Error::NotAKey { source_name: self.to_string() }),
        }
    }

    /// The reference under `key` of a configuration, its relative paths meant from the folder of the file. What was
    /// given is never repeated: it may be a key.
    pub fn configured(section: &mut Section<'_>, key: &str) -> Option<Self> {
        let text = section.required::<String>(key, REFERENCE)?;
        Self::read(section, key, &text)
    }

    /// A list of references, at least one, as [`Self::configured`].
    pub fn all_configured(section: &mut Section<'_>, key: &str) -> Option<Vec<Self>> {
        let texts = section.required_list::<String>(key, REFERENCE)?;
        texts.iter().map(|text| Self::read(section, key, text)).collect()
    }

    fn read(section: &mut Section<'_>, key: &str, text: &str) -> Option<Self> {
        match text.parse::<Self>() {
            Ok(source) => Some(source.within(section.folder())),
            Err(_) => {
                section.fault(key, REFERENCE, "something else");
                None
            }
        }
    }

    /// The same reference with relative paths meant from `folder`.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Keystore { path, password } => {
                Self::Keystore { path: folder.join(path), password: password.within(folder) }
            }
            Self::Env(_) | Self::Mnemonic { .. } | Self::Raw(_) => self,
        }
    }

    fn parse(&self, text: &str) -> Result<PrivateKeySigner, Error> {
        text.trim().parse().map_err(|_| Error::NotAKey { source_name: self.to_string() })
    }
}

impl Password {
    fn within(self, folder: &Path) -> Self {
        match self {
            Self::Env(_) => self,
            Self::File(path) => Self::File(folder.join(path)),
        }
    }
}

fn read_env(name: &str) -> Result<String, Error> {
    std::env::var(name).map_err(|_| Error::Unset { name: name.to_owned() })
}

fn read_file(path: &PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|cause| Error::Unreadable { path: path.clone(), cause })
}

impl FromStr for KeySource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = text.split_once(':') else {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            let is_key =
                digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            return if is_key { Ok(Self::Raw(digits.to_owned())) } else { Err(Error::Malformed) };
        };
        match scheme {
            "env" if !rest.is_empty() => Ok(Self::Env(rest.to_owned())),
            "file" if !rest.is_empty() => Ok(Self::File(rest.into())),
            "keystore" => {
                let (path, password) = rest.split_once("?password=").ok_or(Error::Malformed)?;
                let password = match password.split_once(':') {
                    Some(("env", name)) => Password::Env(name.to_owned()),
                    Some(("file", path)) => Password::File(path.into()),
                    _ => return Err(Error::Malformed),
                };
                Ok(Self::Keystore { path: path.into(), password })
            }
            "mnemonic" => {
                let (index, phrase) = rest.split_once(':').ok_or(Error::Malformed)?;
                let index = index.parse().map_err(|_| Error::Malformed)?;
                Ok(Self::Mnemonic { index, phrase: phrase.to_owned() })
            }
            _ => Err(Error::Malformed),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Keystore { path, .. } => write!(f, "keystore:{}", path.display()),
            Self::Mnemonic { index, .. } => write!(f, "mnemonic account {index}"),
            Self::Raw(_) => f.write_str("a key given inline"),
        }
    }
}

/// As [`fmt::Display`]: without the key.
impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({self})")
    }
}

#[cfg(test)]
mod tests {
    use alloy::{primitives::address, signers::local::LocalSigner};
    use service::config::{self, FromToml};

    use super::*;

    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const OWNER: alloy::primitives::Address =
        address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

    #[test]
    fn every_kind_of_reference_leads_to_the_same_account() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, format!("0x{KEY}\n")).unwrap();
        let bytes = alloy::primitives::hex::decode(KEY).unwrap();
        let (_, name) = LocalSigner::encrypt_keystore(
            folder.path(),
            &mut rand_core(),
            bytes,
            "correct horse",
            Some("deployer"),
        )
        .unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "correct horse\n").unwrap();
        let keystore = folder.path().join("deployer");
        assert!(keystore.exists(), "{name}");

        let phrase = "test test test test test test test test test test test junk";
        for reference in [
            KEY.to_owned(),
            format!("0x{KEY}"),
            format!("file:{}", file.display()),
            format!("keystore:{}?password=file:{}", keystore.display(), password.display()),
            format!("mnemonic:0:{phrase}"),
        ] {
            let source: KeySource = reference.parse().unwrap();
            assert_eq!(source.load().unwrap().address(), OWNER, "{source}");
        }
    }

    fn rand_core() -> impl alloy::signers::k256::elliptic_curve::rand_core::CryptoRngCore {
        alloy::signers::k256::elliptic_curve::rand_core::OsRng
    }

    #[derive(Debug)]
    struct Keys {
        one: KeySource,
        more: Vec<KeySource>,
    }

    impl FromToml for Keys {
        fn from_toml(section: &mut Section<'_>) -> Option<Self> {
            let one = KeySource::configured(section, "one");
            let more = KeySource::all_configured(section, "more");
            Some(Self { one: one?, more: more? })
        }
    }

    #[test]
    fn paths_in_a_configuration_are_meant_from_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("role.toml");
        let text = "one = \"keystore:one.json?password=file:one.txt\"\n\
                    more = [\"file:keys/two\", \"file:/run/three\"]";
        std::fs::write(&file, text).unwrap();

        let keys = config::load::<Keys>(&file).unwrap();

        let at = |name: &str| folder.path().join(name);
        let one =
            KeySource::Keystore { path: at("one.json"), password: Password::File(at("one.txt")) };
        assert_eq!(keys.one, one);
        let three = KeySource::File("/run/three".into());
        assert_eq!(keys.more, [KeySource::File(at("keys/two")), three]);
    }

    #[test]
    fn a_fault_of_a_configuration_repeats_no_key() {
        let text = "one = \"hunter2\"\nmore = [\"file:a\", \"hunter2\"]";
        let report = config::parse::<Keys>(text).unwrap_err().to_string();
        assert!(report.contains("one") && report.contains("more"), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }

    #[test]
    fn no_error_and_no_echo_shows_the_key() {
        let source: KeySource = KEY.parse().unwrap();
        assert!(!format!("{source} {source:?}").contains(&KEY[..16]));
        let zero: KeySource = "0".repeat(64).parse().unwrap();
        assert!(!zero.load().unwrap_err().to_string().contains("0000"));
        let missing = "env:METALAYER_NO_SUCH_KEY".parse::<KeySource>().unwrap();
        assert!(matches!(missing.load(), Err(Error::Unset { .. })));
        for text in ["", "deadbeef", "env:", "keystore:/k.json", "vault:key", &KEY[1..]] {
            assert!(matches!(text.parse::<KeySource>(), Err(Error::Malformed)), "{text}");
        }
    }
}
