//! Image references: where an image is kept, what it is called there, and which one of that name is meant.

/// A reference, taken apart. `shop:1.0` has no registry: the engine knows which one that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host and port; `None` = the engine's own index.
    pub registry: Option<String>,
    /// Path within the registry, as written.
    pub path: String,
    /// Tag, as written.
    pub tag: Option<String>,
    /// `sha256:…`, as written.
    pub digest: Option<String>,
}

impl Reference {
    /// Takes a reference apart. What is no reference comes out as something that no registry has.
    pub fn of(text: &str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (rest, None),
        };
        let (registry, path) = match name.split_once('/') {
            // As the engine tells a host from a folder.
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host.to_owned()), path),
            _ => (None, name),
        };
        Self {
            registry,
            path: path.to_owned(),
            tag,
            digest,
        }
    }

    /// Registry and path: what a digest is asked for under.
    pub fn repository(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// The same repository's image with this digest, whatever its tags point to.
    pub fn pinned(&self, digest: &str) -> String {
        format!("{}@{digest}", self.repository())
    }

    /// The two parameters by which an engine is asked to pull. Without a tag it would pull all of them.
    pub(super) fn parameters(&self) -> (String, String) {
        match &self.digest {
            Some(digest) => (self.repository(), digest.clone()),
            None => (
                self.repository(),
                self.tag.clone().unwrap_or_else(|| "latest".to_owned()),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn references_are_read_as_the_engine_reads_them() {
        let parts = |text| {
            let it = Reference::of(text);
            format!(
                "{} {} {} {}",
                it.registry.as_deref().unwrap_or("-"),
                it.path,
                it.tag.as_deref().unwrap_or("-"),
                it.digest.as_deref().unwrap_or("-")
            )
        };
        assert_eq!(parts("postgres"), "- postgres - -");
        assert_eq!(parts("acme/shop:1.0"), "- acme/shop 1.0 -");
        assert_eq!(parts("localhost/shop"), "localhost shop - -");
        assert_eq!(parts("127.0.0.1:5000/a/b"), "127.0.0.1:5000 a/b - -");
        assert_eq!(
            parts("127.0.0.1:5000/a/b:2@sha256:ab"),
            "127.0.0.1:5000 a/b 2 sha256:ab"
        );
        assert_eq!(parts("[::1]:5000/a:2"), "[::1]:5000 a 2 -");
    }

    #[test]
    fn a_digest_takes_the_place_of_the_tag() {
        assert_eq!(
            Reference::of("127.0.0.1:5000/shop:1.0").pinned("sha256:ab"),
            "127.0.0.1:5000/shop@sha256:ab"
        );
        assert_eq!(
            Reference::of("shop@sha256:ab").parameters(),
            ("shop".to_owned(), "sha256:ab".to_owned())
        );
        assert_eq!(
            Reference::of("shop").parameters(),
            ("shop".to_owned(), "latest".to_owned())
        );
    }
}
