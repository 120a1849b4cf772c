//! Proxies, by the variables that every tool obeys.
//!
//! The library would read them by itself, from a place that tests cannot set and with passwords that nobody hides.

use reqwest::{NoProxy, Proxy};
use url::Url;

use crate::environ::Environ;
use crate::http::error::HttpError;
use crate::redact::Registry;
use crate::redact::secret::Secret;

/// The proxies that `environ` names, most special first.
///
/// # Errors
/// Fails when a variable names none that can be used.
pub(super) fn of(environ: &Environ, registry: &Registry) -> Result<Vec<Proxy>, HttpError> {
    let except = environ.text("no_proxy").or_else(|| environ.text("NO_PROXY"));
    let mut proxies = Vec::new();
    let variables = [
        ("HTTPS_PROXY", environ.text("https_proxy").or_else(|| environ.text("HTTPS_PROXY")), Scope::Https),
        ("HTTP_PROXY", environ.text("http_proxy").or_else(|| environ.text("HTTP_PROXY")), Scope::Http),
        ("ALL_PROXY", environ.text("all_proxy").or_else(|| environ.text("ALL_PROXY")), Scope::All),
    ];
    for (variable, value, scope) in variables {
        let Some(value) = value else { continue };
        let url = address(variable, value, registry)?;
        let made = match scope {
            Scope::Https => Proxy::https(url),
            Scope::Http => Proxy::http(url),
            Scope::All => Proxy::all(url),
        };
        let proxy = made.map_err(|_| HttpError::Proxy { variable, reason: "it is no address" })?;
        proxies.push(proxy.no_proxy(except.and_then(NoProxy::from_string)));
    }
    Ok(proxies)
}

#[derive(Clone, Copy)]
enum Scope {
    Https,
    Http,
    All,
}

/// The address of a proxy. One without a scheme is spoken to by HTTP, as other tools do.
fn address(variable: &'static str, value: &str, registry: &Registry) -> Result<Url, HttpError> {
    let refused = |reason| HttpError::Proxy { variable, reason };
    let value = value.trim();
    let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&text).map_err(|_| refused("it is no address"))?;
    if let Some(password) = url.password() {
        // As it is written, and as it is sent.
        let _ = Secret::new(password, registry);
        let _ = Secret::new(value, registry);
    }
    match url.scheme() {
        _ if url.host_str().is_none_or(str::is_empty) => Err(refused("it has no host name")),
        "http" | "https" => Ok(url),
        _ => Err(refused("only proxies that speak http or https are supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pairs: &[(&'static str, &'static str)]) -> Result<usize, String> {
        let environ = Environ::of(pairs.iter().copied());
        of(&environ, &Registry::new()).map(|proxies| proxies.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_usual_variables_name_proxies_in_both_spellings() {
        assert_eq!(named(&[]), Ok(0));
        assert_eq!(
            named(&[("HTTPS_PROXY", "http://p:3128"), ("all_proxy", "p:3128"), ("NO_PROXY", "*")]),
            Ok(2)
        );
        assert_eq!(named(&[("HTTPS_PROXY", ""), ("http_proxy", "https://u:p@p")]), Ok(1));
    }

    #[test]
    fn what_is_no_proxy_is_named() {
        insta::assert_snapshot!(
            named(&[("https_proxy", "socks5://p:1080")]).unwrap_err(),
            @"HTTPS_PROXY names no usable proxy: only proxies that speak http or https are supported"
        );
        insta::assert_snapshot!(
            named(&[("ALL_PROXY", "http://")]).unwrap_err(),
            @"ALL_PROXY names no usable proxy: it is no address"
        );
    }

    #[test]
    fn the_password_of_a_proxy_is_a_secret() {
        let registry = Registry::new();
        let address = format!("http://{}@p:3128", ["user", "hunter2hunter2"].join(":"));
        let environ = Environ::of([("HTTPS_PROXY", address.as_str())]);
        of(&environ, &registry).unwrap();
        assert_eq!(registry.text("said hunter2hunter2"), "said ***");
    }
}
