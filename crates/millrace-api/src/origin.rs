//! Where a request comes from: which address, which page, which kind of program.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `https` if the caller reached a proxy by it, else `http`.
pub(crate) fn scheme(headers: &HeaderMap) -> &str {
    text(headers, "x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http")
}

/// The address of who sent a request. A proxy on this machine says for whom it asks; nobody else is believed.
pub(crate) fn address(head: &Parts) -> Option<IpAddr> {
    let ConnectInfo(peer) = head.extensions.get::<ConnectInfo<SocketAddr>>()?;
    let told = text(&head.headers, "x-forwarded-for").filter(|_| peer.ip().is_loopback());
    // Each proxy adds whom it heard; what comes before, the caller may have made up.
    let told = told.and_then(|all| all.rsplit(',').next()?.trim().parse().ok());
    Some(told.unwrap_or_else(|| peer.ip()))
}

/// Whether a page of this server sent a request; `None` if no browser says anything of it.
pub(crate) fn is_own_page(headers: &HeaderMap) -> Option<bool> {
    // No page can set these two headers. The first tells the truth behind proxies that change the host, but comes by https alone.
    let site = text(headers, "sec-fetch-site");
    if site == Some("same-origin") {
        return Some(true);
    }
    match text(headers, header::ORIGIN.as_str()) {
        Some(origin) => {
            let from = origin.split_once("://").map(|(_, host)| host);
            let hosts = [text(headers, header::HOST.as_str()), text(headers, "x-forwarded-host")];
            Some(from.is_some() && hosts.contains(&from))
        }
        None => site.map(|_| false),
    }
}

/// Whether somebody sits before a browser, who is shown a page instead of a status.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-mode")
        || text(headers, header::USER_AGENT.as_str()).is_some_and(|agent| agent.starts_with("Mozilla/"))
}

/// Whether a browser wants a page of its own, not a part of one.
pub(crate) fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let accepts = || text(headers, header::ACCEPT.as_str()).is_some_and(|kinds| kinds.contains("text/html"));
    reads
        && is_browser(headers)
        && text(headers, "sec-fetch-mode").map_or_else(accepts, |mode| mode == "navigate")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_page_is_our_own_by_its_host_or_by_the_browsers_word() {
        let own = |pairs: &[(&'static str, &'static str)]| is_own_page(&headers(pairs));
        assert_eq!(own(&[("host", "ml.example")]), None, "a program");
        assert_eq!(own(&[("host", "ml.example"), ("origin", "http://ml.example")]), Some(true));
        assert_eq!(own(&[("host", "ml.example"), ("origin", "http://evil.example")]), Some(false));
        assert_eq!(own(&[("host", "ml.example"), ("origin", "null")]), Some(false));
        assert_eq!(own(&[("host", "inner:7117"), ("sec-fetch-site", "same-origin")]), Some(true));
        assert_eq!(own(&[("host", "ml.example"), ("sec-fetch-site", "cross-site")]), Some(false));
        let proxied =
            [("host", "inner"), ("x-forwarded-host", "ml.example"), ("origin", "https://ml.example")];
        assert_eq!(own(&proxied), Some(true));
        assert_eq!(own(&[("origin", "http://ml.example")]), Some(false), "no host at all");
    }

    #[test]
    fn a_proxy_on_this_machine_says_for_whom_it_asks() {
        let of = |peer: &str, told: Option<&'static str>| {
            let (mut head, ()) = axum::http::Request::new(()).into_parts();
            head.extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
            head.headers.extend(
                told.map(|told| (HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static(told))),
            );
            address(&head).unwrap().to_string()
        };
        assert_eq!(of("127.0.0.1:9", None), "127.0.0.1");
        assert_eq!(of("127.0.0.1:9", Some("1.2.3.4, 192.0.2.7")), "192.0.2.7");
        assert_eq!(of("127.0.0.1:9", Some("somebody")), "127.0.0.1");
        assert_eq!(of("198.51.100.1:9", Some("192.0.2.7")), "198.51.100.1");
    }
}
