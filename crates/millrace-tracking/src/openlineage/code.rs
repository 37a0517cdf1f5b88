//! Where the definitions of jobs are kept.

use url::Url;

/// A git repository, and where the workspace is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodePlace {
    /// What it is cloned by.
    pub repository: String,
    /// Where the workspace is in it, with a slash at its end; empty for its top.
    pub folder: String,
    /// The commit that is checked out.
    pub version: Option<String>,
    /// The branch.
    pub branch: Option<String>,
}

impl CodePlace {
    /// The page of a file of the repository, at a line; `None` if the repository has no pages.
    pub(super) fn page(&self, path: &str, line: Option<u32>) -> Option<String> {
        let mut url = browsable(&self.repository)?;
        let version = self.version.as_deref().or(self.branch.as_deref()).unwrap_or("HEAD");
        let is_azure = url.path().contains("/_git/");
        if is_azure {
            // Azure DevOps says which kind of version it is: GC a commit, GB a branch.
            let kind = if self.version.is_some() { "GC" } else { "GB" };
            let mut query = url.query_pairs_mut();
            query
                .append_pair("path", &format!("/{path}"))
                .append_pair("version", &format!("{kind}{version}"));
            if let Some(line) = line {
                query.append_pair("line", &line.to_string());
            }
            drop(query);
            return Some(url.into());
        }
        let view = if url.host_str() == Some("bitbucket.org") { "src" } else { "blob" };
        url.path_segments_mut().ok()?.pop_if_empty().extend([view, version]).extend(path.split('/'));
        if let Some(line) = line {
            url.set_fragment(Some(&match view {
                "src" => format!("lines-{line}"),
                _ => format!("L{line}"),
            }));
        }
        Some(url.into())
    }
}

/// The pages of a repository: those of `git@host:team/shop.git` are `https://host/team/shop`.
fn browsable(repository: &str) -> Option<Url> {
    let plain = repository.trim_end_matches('/');
    let plain = plain.strip_suffix(".git").unwrap_or(plain);
    let (scheme, place) = match plain.split_once("://") {
        Some(("http", rest)) => ("http", rest.to_owned()),
        Some(("https" | "ssh" | "git", rest)) => ("https", rest.to_owned()),
        Some(_) => return None,
        // The short form of ssh: `user@host:path`.
        None => ("https", plain.split_once('@')?.1.replacen(':', "/", 1)),
    };
    let place = place.split_once('@').map_or(place.as_str(), |(_, rest)| rest);
    // Azure DevOps has other hosts and paths for ssh: `ssh.dev.azure.com/v3/TEAM/PROJECT/REPOSITORY`.
    if let Some(rest) = place.strip_prefix("ssh.dev.azure.com/v3/") {
        let mut parts = rest.splitn(3, '/');
        let (team, project, name) = (parts.next()?, parts.next()?, parts.next()?);
        return Url::parse(&format!("https://dev.azure.com/{team}/{project}/_git/{name}")).ok();
    }
    Url::parse(&format!("{scheme}://{place}")).ok().filter(Url::has_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(repository: &str, path: &str) -> Option<String> {
        let version = Some("0123abc".to_owned());
        CodePlace { repository: repository.to_owned(), version, ..CodePlace::default() }.page(path, Some(4))
    }

    #[test]
    fn a_file_has_a_page_where_its_repository_has_pages() {
        for (repository, expected) in [
            (
                "https://git.example/team/shop.git",
                Some("https://git.example/team/shop/blob/0123abc/p/a%20b.yaml#L4"),
            ),
            (
                "git@git.example:team/shop.git",
                Some("https://git.example/team/shop/blob/0123abc/p/a%20b.yaml#L4"),
            ),
            (
                "ssh://git@git.example/team/shop",
                Some("https://git.example/team/shop/blob/0123abc/p/a%20b.yaml#L4"),
            ),
            (
                "https://bitbucket.org/team/shop.git",
                Some("https://bitbucket.org/team/shop/src/0123abc/p/a%20b.yaml#lines-4"),
            ),
            (
                "git@ssh.dev.azure.com:v3/team/project/shop",
                Some(
                    "https://dev.azure.com/team/project/_git/shop?path=%2Fp%2Fa+b.yaml&version=GC0123abc&line=4",
                ),
            ),
            (
                "https://dev.azure.com/team/project/_git/shop",
                Some(
                    "https://dev.azure.com/team/project/_git/shop?path=%2Fp%2Fa+b.yaml&version=GC0123abc&line=4",
                ),
            ),
            ("/srv/git/shop.git", None),
            ("file:///srv/git/shop.git", None),
        ] {
            assert_eq!(page(repository, "p/a b.yaml").as_deref(), expected, "{repository}");
        }
    }
}
