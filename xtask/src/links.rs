//! Links between the documents.

use std::{
    fs,
    path::{Path, PathBuf},
};

use eyre::{WrapErr, ensure};

use crate::remark;

/// Checks that every relative link in a Markdown file of the project leads to a file.
pub(crate) fn check() -> eyre::Result<()> {
    let mut documents = Vec::new();
    collect(Path::new("."), &mut documents)?;
    let mut faults = Vec::new();
    for document in &documents {
        let text = fs::read_to_string(document).wrap_err_with(|| document.display().to_string())?;
        let folder = document.parent().unwrap_or(Path::new(""));
        for target in targets(&text) {
            if !folder.join(target).exists() {
                faults.push(format!("{}: no {target}", document.display()));
            }
        }
    }
    ensure!(faults.is_empty(), "broken links\n{}", faults.join("\n"));
    remark(&format!("{} documents, every link leads somewhere", documents.len()));
    Ok(())
}

fn collect(folder: &Path, documents: &mut Vec<PathBuf>) -> eyre::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            collect(&path, documents)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    Ok(())
}

/// The files that inline links point to, anchors cut off.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_relative_files_without_anchors() {
        let text = "[a](docs/a.md) [b](docs/b.md#x) [c](https://c) [d](#d)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["docs/a.md", "docs/b.md"]);
    }
}
