//! Files as the repository names them, for those who show a result beside its line.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::record::v1::Test;

/// The file's path in the job's workspace, in the repository of git that holds it, or in the working directory; as it is
/// where it lies elsewhere.
pub fn path(file: &Path, context: &Context) -> String {
    below(file, &context.directory, context.path("GITHUB_WORKSPACE"))
}

/// Gives the places of tests their names in the repository.
pub fn name_places(tests: &mut [Test], context: &Context) {
    for place in tests.iter_mut().filter_map(|test| test.location.as_mut()) {
        let numbered = place.rsplit_once(':').filter(|(_, line)| line.parse::<u32>().is_ok());
        *place = match numbered {
            Some((file, line)) => format!("{}:{line}", path(Path::new(file), context)),
            None => path(Path::new(place.as_str()), context),
        };
    }
}

fn below(file: &Path, directory: &Path, workspace: Option<PathBuf>) -> String {
    let absolute = directory.join(file);
    let git = absolute.ancestors().skip(1).find(|folder| folder.join(".git").exists());
    let roots = [workspace, git.map(Path::to_path_buf), Some(directory.to_path_buf())];
    let mut within = roots.into_iter().flatten().filter_map(|root| {
        let within = absolute.strip_prefix(root).ok()?;
        Some(within.display().to_string())
    });
    within.next().unwrap_or_else(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_as_its_repository_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let repository = folder.path().join("shop");
        let deploy = repository.join("deploy");
        std::fs::create_dir_all(&deploy).expect("the folder is ours");
        std::fs::create_dir(repository.join(".git")).expect("the folder is ours");
        let file = deploy.join("rehearsal.yaml");
        for (file, directory) in [(file.as_path(), folder.path()), (Path::new("rehearsal.yaml"), &deploy)] {
            assert_eq!(below(file, directory, None), "deploy/rehearsal.yaml");
        }
        assert_eq!(below(&file, &deploy, Some(deploy.clone())), "rehearsal.yaml");
    }

    #[test]
    fn outside_of_a_repository_it_is_named_from_the_working_directory_or_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a/rehearsal.yaml");
        assert_eq!(below(&file, folder.path(), None), "a/rehearsal.yaml");
        let elsewhere = folder.path().join("b");
        assert_eq!(below(&file, &elsewhere, None), file.display().to_string());
    }
}
