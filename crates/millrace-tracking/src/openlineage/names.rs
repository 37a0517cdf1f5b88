//! What datasets are called among systems: a namespace, which says where something is, and a name within it.

use std::sync::Arc;

/// A dataset's name among systems.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Where it is: `postgres://db:5432`, `s3://lake`, `file`.
    pub namespace: String,
    /// What it is there: `shop.public.orders`, `raw/orders.csv`.
    pub name: String,
}

impl Identity {
    /// Both in one: what lineage has it by.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// The identity of a source that a `copy` names, `connection:table` among them; `None` if nobody knows where it is.
pub type SourceIdentity = Arc<dyn Fn(&str) -> Option<Identity> + Send + Sync>;

/// Where nobody knows where sources are.
pub fn unknown_sources() -> SourceIdentity {
    Arc::new(plain_identity)
}

/// The identity of an address that says itself where it is: a web address, one of a bucket, or a file's. By the naming of OpenLineage.
pub fn plain_identity(address: &str) -> Option<Identity> {
    let (scheme, rest) = address.split_once("://")?;
    match scheme {
        "file" => Some(Identity { namespace: "file".to_owned(), name: rest.to_owned() }),
        "s3" | "s3a" | "gs" | "abfss" | "http" | "https" => {
            let (place, mut path) = rest.split_once('/').unwrap_or((rest, ""));
            let mut place = place;
            if scheme.starts_with("http") {
                // Logins and tokens in an address are nobody's business.
                place = place.rsplit('@').next().unwrap_or(place);
                path = path.split(['?', '#']).next().unwrap_or(path);
            }
            let scheme = if scheme == "s3a" { "s3" } else { scheme };
            Some(Identity { namespace: format!("{scheme}://{place}"), name: path.to_owned() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_names_among_systems() {
        for (address, expected) in [
            ("s3://lake/raw/a.csv", Some(("s3://lake", "raw/a.csv"))),
            ("s3a://lake/raw/a.csv", Some(("s3://lake", "raw/a.csv"))),
            ("https://host:8443/a/b.csv", Some(("https://host:8443", "a/b.csv"))),
            ("https://me:pass@host/a.csv?token=x", Some(("https://host", "a.csv"))),
            ("file:///data/a.csv", Some(("file", "/data/a.csv"))),
            ("raw/a.csv", None),
            ("ftp://host/a", None),
        ] {
            let found = plain_identity(address);
            let found = found.as_ref().map(|identity| (identity.namespace.as_str(), identity.name.as_str()));
            assert_eq!(found, expected, "{address}");
        }
    }
}
