//! The programs of the workspace, built once and kept under `target/programs`.
//!
//! Everything that deploys programs asks [`Programs::load_or_build`], which compiles only when a
//! source changed. No build script does.

mod compile;
mod index;
mod source;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
pub use compile::CompileError;
pub use index::{Entry, Index};
pub use source::{Source, SourceError};

use crate::{CodeError, MAX_CODE_SIZE, Program, check};

/// Environment variable that names a folder of programs to use as they are.
pub const PROGRAMS_VARIABLE: &str = "METALAYER_PROGRAMS";

/// Every program by its name, which is the name of its crate: `inbox`, `intent-source`, ….
#[derive(Debug, Clone)]
pub struct Programs {
    directory: PathBuf,
    index: Index,
    programs: BTreeMap<String, Program>,
}

/// Why programs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// The source tree cannot be found or read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The compiler failed.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The index is not one of ours.
    #[error("{}: not an index of programs: {source}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A program's code cannot be made or read.
    #[error("program {name}: {source}")]
    Code {
        /// The program.
        name: String,
        /// What is wrong with it.
        source: CodeError,
    },
    /// A program file is not the one that the index describes.
    #[error("program {name}: expected code hash {expected}, the file has {given}")]
    Mismatch {
        /// The program.
        name: String,
        /// The hash in the index.
        expected: B256,
        /// The hash of the file.
        given: B256,
    },
    /// No program has this name.
    #[error("no program {name:?}, there are: {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Every name there is.
        known: Vec<String>,
    },
    /// A chain would refuse to activate the program.
    #[error("program {name} cannot be activated: {}", faults.join("; "))]
    Faulty {
        /// The program.
        name: String,
        /// The rules it breaks.
        faults: Vec<String>,
    },
}

impl Programs {
    /// The programs in the folder that [`PROGRAMS_VARIABLE`] names, or else those of the workspace
    /// around the current folder, compiled first when a source changed since. Processes that ask at
    /// the same time wait for one build.
    ///
    /// # Errors
    /// [`ProgramsError`]. A program that breaks an activation rule is no error here, but when it is
    /// asked for.
    pub fn load_or_build() -> Result<Self, ProgramsError> {
        match std::env::var_os(PROGRAMS_VARIABLE).filter(|directory| !directory.is_empty()) {
            Some(directory) => Self::load(Path::new(&directory)),
            None => Self::build(&Source::find()?),
        }
    }

    /// Reads a folder that an earlier build has written.
    ///
    /// # Errors
    /// [`ProgramsError`] when the folder lacks its index or a program, or they do not agree.
    pub fn load(directory: &Path) -> Result<Self, ProgramsError> {
        let index = Index::read(directory)?;
        let read = |entry: &Entry| {
            let expected = entry.code_hash?;
            Some(read_program(directory, &entry.name, expected).map(|it| (entry.name.clone(), it)))
        };
        let programs = index.programs.iter().filter_map(read).collect::<Result<_, _>>()?;
        Ok(Self { directory: directory.to_owned(), index, programs })
    }

    /// The programs of `source`, compiled when its hash differs from the last build's. The
    /// compiler's progress goes to stderr.
    ///
    /// # Errors
    /// [`ProgramsError`].
    pub fn build(source: &Source) -> Result<Self, ProgramsError> {
        let directory = source.programs_directory();
        fs::create_dir_all(&directory).map_err(file_error(&directory))?;
        let path = directory.join(".lock");
        let lock = File::create(&path).map_err(file_error(&path))?;
        lock.lock().map_err(file_error(&path))?;

        let hash = source.hash()?;
        if let Ok(programs) = Self::load(&directory)
            && programs.index.source_hash == hash
        {
            return Ok(programs);
        }
        let names = source.names()?;
        let modules = compile::compile(source, &names)?;
        let entries = modules
            .iter()
            .map(|(name, path)| package(&directory, name, path))
            .collect::<Result<Vec<_>, _>>()?;
        // The index goes last: until it is there, the next call builds again.
        Index { source_hash: hash, programs: entries }.write(&directory)?;
        Self::load(&directory)
    }

    /// The program with this name.
    ///
    /// # Errors
    /// [`ProgramsError::Unknown`], or [`ProgramsError::Faulty`] for one that no chain would run.
    pub fn get(&self, name: &str) -> Result<&Program, ProgramsError> {
        let entry = self.index.programs.iter().find(|entry| entry.name == name);
        match (entry, self.programs.get(name)) {
            (Some(entry), _) if !entry.faults.is_empty() => {
                Err(ProgramsError::Faulty { name: name.to_owned(), faults: entry.faults.clone() })
            }
            (Some(_), Some(program)) => Ok(program),
            _ => Err(ProgramsError::Unknown {
                name: name.to_owned(),
                known: self.programs.keys().cloned().collect(),
            }),
        }
    }

    /// Sizes, hashes and faults of every program.
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The folder that holds the programs and their index.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Checks and compresses one module and writes it into `directory`, unless no chain would take it.
fn package(directory: &Path, name: &str, module: &Path) -> Result<Entry, ProgramsError> {
    let wasm = fs::read(module).map_err(file_error(module))?;
    let mut faults: Vec<String> = match check(&wasm) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    };
    let program = if faults.is_empty() {
        match Program::from_wasm(&wasm) {
            Ok(program) => Some(program),
            Err(error @ (CodeError::CodeTooLarge { .. } | CodeError::WasmTooLarge { .. })) => {
                faults.push(error.to_string());
                None
            }
            Err(source) => return Err(ProgramsError::Code { name: name.to_owned(), source }),
        }
    } else {
        None
    };
    if let Some(program) = &program {
        let path = directory.join(file_name(name));
        fs::write(&path, program.brotli()).map_err(file_error(&path))?;
    }
    Ok(Entry {
        name: name.to_owned(),
        raw: wasm.len(),
        compressed: program.as_ref().map(|program| program.code.len()),
        limit: MAX_CODE_SIZE,
        code_hash: program.as_ref().map(|program| program.code_hash),
        faults,
    })
}

fn read_program(directory: &Path, name: &str, expected: B256) -> Result<Program, ProgramsError> {
    let path = directory.join(file_name(name));
    let stream = fs::read(&path).map_err(file_error(&path))?;
    let name = name.to_owned();
    match Program::from_brotli(&stream) {
        Ok(program) if program.code_hash == expected => Ok(program),
        Ok(Program { code_hash: given, .. }) => {
            Err(ProgramsError::Mismatch { name, expected, given })
        }
        Err(source) => Err(ProgramsError::Code { name, source }),
    }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> ProgramsError + use<> {
    let path = path.to_owned();
    move |source| ProgramsError::File { path, source }
}

fn file_name(name: &str) -> PathBuf {
    Path::new(OsStr::new(name)).with_extension("wasm.br")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNABLE: &str = r#"(module
        (import "vm_hooks" "pay_for_memory_grow" (func (param i32)))
        (memory (export "memory") 1)
        (func (export "user_entrypoint") (param i32) (result i32) (i32.const 0)))"#;

    fn packaged(directory: &Path, name: &str, text: &str) -> Entry {
        let module = directory.join("module.wasm");
        fs::write(&module, wat::parse_str(text).unwrap()).unwrap();
        package(directory, name, &module).unwrap()
    }

    #[test]
    fn a_written_folder_is_read_back_and_faulty_programs_are_withheld() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let good = packaged(directory, "good", RUNNABLE);
        let bad = packaged(directory, "bad", "(module (memory (export \"memory\") 1))");
        assert_eq!(good.faults, Vec::<String>::new());
        let index = Index { source_hash: B256::repeat_byte(1), programs: vec![bad, good] };
        index.write(directory).unwrap();

        let programs = Programs::load(directory).unwrap();
        assert_eq!(programs.index(), &index);
        assert_eq!(Some(programs.get("good").unwrap().code_hash), index.programs[1].code_hash);
        assert!(matches!(programs.get("bad"), Err(ProgramsError::Faulty { .. })));
        assert!(matches!(programs.get("none"), Err(ProgramsError::Unknown { .. })));
    }

    #[test]
    fn a_changed_program_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let entry = packaged(directory, "good", RUNNABLE);
        Index { source_hash: B256::ZERO, programs: vec![entry] }.write(directory).unwrap();
        packaged(directory, "good", &RUNNABLE.replace("const 0", "const 1"));
        let error = Programs::load(directory).unwrap_err();
        assert!(matches!(error, ProgramsError::Mismatch { .. }), "{error}");
    }
}
