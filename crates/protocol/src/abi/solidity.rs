//! The interfaces of the on-chain programs as Solidity: what `cargo stylus export-abi` prints.
//!
//! What `sol!` compiles is Solidity already, so the text comes out of the files that the compiler reads, and there is
//! no second copy of it. The programs' tables dispatch on the selectors that `sol!` makes of the same text.

use std::collections::BTreeSet;

/// The files that hold interfaces and structs.
const FILES: [&str; 5] = [
    include_str!("deployer_items.rs"),
    include_str!("intent_items.rs"),
    include_str!("messaging_items.rs"),
    include_str!("multicall_items.rs"),
    include_str!("token_items.rs"),
];

/// The file that holds the arguments of constructors.
const CONSTRUCTORS: &str = include_str!("constructor.rs");

/// A program and the interface that it answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The program, as its crate is called.
    pub program: &'static str,
    /// The interface's name.
    pub interface: &'static str,
    construction: Construction,
}

/// How a program is constructed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Construction {
    /// It has no constructor.
    None,
    /// By a constructor without arguments.
    Empty,
    /// By one that takes the fields of this struct.
    Arguments(&'static str),
}

const fn exported(
    program: &'static str,
    interface: &'static str,
    construction: Construction,
) -> Exported {
    Exported { program, interface, construction }
}

/// Every program of ours.
pub const PROGRAMS: [Exported; 10] = {
    use Construction::{Arguments, Empty, None};
    [
        exported("deployer", "StylusDeployer", None),
        exported("inbox", "Inbox", Empty),
        exported("intent-source", "IntentSource", Arguments("IntentSourceArguments")),
        exported("ism", "MetalayerIsm", Arguments("IsmArguments")),
        exported("local-prover", "ILocalProver", Arguments("LocalProverArguments")),
        exported("meta-prover", "MetaProver", Arguments("MetaProverArguments")),
        exported("multicall", "Multicall", None),
        exported("read-ism", "ReadIsm", Arguments("ReadIsmArguments")),
        exported("router", "MetalayerRouter", Arguments("RouterArguments")),
        exported("test-token", "IERC20", Arguments("TestTokenArguments")),
    ]
};

/// What the program with this name exports.
#[must_use]
pub fn of(program: &str) -> Option<Exported> {
    PROGRAMS.into_iter().find(|exported| exported.program == program)
}

impl Exported {
    /// The interface with the structs that it uses.
    #[must_use]
    pub fn solidity(&self) -> String {
        let structs: Vec<_> = FILES.iter().copied().flat_map(Struct::all).collect();
        let interface = FILES
            .iter()
            .find_map(|file| item(file, "interface", self.interface))
            .unwrap_or_default();
        let mut parts = Vec::new();
        let interface = name_tuples(interface, &structs);
        used(&interface, &structs, &mut parts, &mut BTreeSet::new());
        parts.push(interface);
        parts.join("\n")
    }

    /// `constructor(…)` with types and names; nothing for a program without one.
    #[must_use]
    pub fn constructor(&self) -> Option<String> {
        match self.construction {
            Construction::None => None,
            Construction::Empty => Some("constructor()".to_owned()),
            Construction::Arguments(name) => {
                let structs: Vec<_> = Struct::all(CONSTRUCTORS).collect();
                let arguments = structs.iter().find(|it| it.name == name)?;
                let fields: Vec<_> =
                    arguments.fields.iter().map(|field| field.flat(&structs)).collect();
                Some(format!("constructor({})", fields.join(", ")))
            }
        }
    }
}

/// A struct in one of the files.
struct Struct {
    name: &'static str,
    text: String,
    fields: Vec<Field>,
}

/// One field, such as `bytes32 salt`.
struct Field {
    kind: &'static str,
    name: &'static str,
}

impl Struct {
    fn all(file: &'static str) -> impl Iterator<Item = Self> {
        let names = file.lines().filter_map(|line| line.strip_prefix("    struct "));
        names.filter_map(|rest| rest.strip_suffix(" {")).filter_map(move |name| {
            let text = item(file, "struct", name)?;
            let body = file.split_once(&format!("    struct {name} {{\n"))?.1;
            let fields = body.lines().map_while(|line| line.trim().strip_suffix(';'));
            let fields = fields.filter_map(|field| field.rsplit_once(' '));
            let fields = fields.map(|(kind, name)| Field { kind, name }).collect();
            Some(Self { name, text, fields })
        })
    }

    /// The tuple of its fields' types, as `sol!` takes it where a struct's name is not in reach.
    fn tuple(&self) -> String {
        let kinds: Vec<_> = self.fields.iter().map(|field| field.kind).collect();
        format!("({})", kinds.join(", "))
    }
}

impl Field {
    /// The field with its struct, if it has one, as a tuple.
    fn flat(&self, structs: &[Struct]) -> String {
        let (name, suffix) = self.kind.split_at(self.kind.find('[').unwrap_or(self.kind.len()));
        match structs.iter().find(|it| it.name == name) {
            Some(inner) => format!("{}{suffix} {}", inner.tuple(), self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// The declaration `<keyword> <name> { … }` with the comment before it, unindented and without Rust's attributes.
fn item(file: &str, keyword: &str, name: &str) -> Option<String> {
    let opening = format!("    {keyword} {name} {{\n");
    let start = file.find(&opening)?;
    let body = &file[start..];
    let end = body.find("\n    }\n")? + "\n    }\n".len();
    // The comment and the attributes follow the blank line before.
    let comment = file[..start].rfind("\n\n").map_or(start, |at| at + 2);
    let lines = file[comment..start + end].lines().filter(|line| !line.trim().starts_with("#["));
    Some(lines.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect())
}

/// Puts the names of structs in place of tuples of their types, which only `sol!` understands.
fn name_tuples(mut text: String, structs: &[Struct]) -> String {
    for it in structs {
        for before in ["(", ", "] {
            let tuple = format!("{before}{}", it.tuple());
            text = text.replace(&tuple, &format!("{before}{}", it.name));
        }
    }
    text
}

/// Appends the structs that `text` names, those that they name first.
fn used(
    text: &str,
    structs: &[Struct],
    parts: &mut Vec<String>,
    seen: &mut BTreeSet<&'static str>,
) {
    let words: BTreeSet<_> =
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    for it in structs {
        if words.contains(it.name) && seen.insert(it.name) {
            used(
                &it.fields.iter().map(|field| field.kind).collect::<Vec<_>>().join(" "),
                structs,
                parts,
                seen,
            );
            parts.push(it.text.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_an_interface_and_its_structs() {
        for exported in PROGRAMS {
            let text = exported.solidity();
            assert!(text.contains(&format!("interface {} {{", exported.interface)), "{text}");
            assert!(
                !text.contains("#[") && !text.contains(", (") && !text.contains("(("),
                "{text}"
            );
            assert_eq!(of(exported.program), Some(exported));
        }
        let prover = of("meta-prover").unwrap().solidity();
        assert!(prover.contains("struct ReadOperation {\n    uint32 domain;"), "{prover}");
        assert!(prover.contains("bytes calldata message, ReadOperation[] calldata reads,"));
        assert!(!prover.contains("struct Intent "), "{prover}");
        let source = of("intent-source").unwrap().solidity();
        assert!(source.find("struct Call {") < source.find("struct Route {"), "{source}");
        assert!(source.find("struct Route {") < source.find("struct Intent {"), "{source}");
    }

    #[test]
    fn constructors_are_those_that_the_programs_take() {
        let constructor = |program| of(program).unwrap().constructor();
        assert_eq!(constructor("multicall"), None);
        assert_eq!(constructor("inbox").unwrap(), "constructor()");
        assert_eq!(
            constructor("meta-prover").unwrap(),
            "constructor(address router, address portal, bytes32[] provers, uint256 minGasLimit, \
             (uint64, uint64)[] domains, uint8 finality)"
        );
        for exported in PROGRAMS {
            let Construction::Arguments(name) = exported.construction else { continue };
            assert!(exported.constructor().is_some(), "no struct {name}");
        }
    }
}
