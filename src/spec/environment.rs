//! `${env:NAME}` and `${env:NAME:-default}` in values; `$${` is a plain `${`.

use super::nearest::quoted;

/// What text became, and whether any of it came from the environment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    pub(super) from_env: bool,
}

/// Why text cannot be expanded. No variable's value is in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) label: String,
    pub(super) help: String,
}

/// Whether text has a variable in it.
pub(super) fn mentions_variable(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| !text[..at].ends_with('$'))
}

/// Replaces the variables of a text. A default counts as coming from the environment too: whether a value is secret
/// depends on how it is written, not on who runs the program.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, Refused> {
    let mut expanded = Expanded { text: String::with_capacity(text.len()), from_env: false };
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            expanded.text.push_str(&rest[..at - 1]);
            expanded.text.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        expanded.text.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or_else(|| Refused {
            message: "a `${` is not closed".to_owned(),
            label: "no `}` follows".to_owned(),
            help: "write `${env:NAME}`; for a plain `${` write `$${`".to_owned(),
        })?;
        expanded.text.push_str(&replacement(&inside[..end], env)?);
        expanded.from_env = true;
        rest = &inside[end + 1..];
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

fn replacement(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Refused> {
    let Some(body) = inside.strip_prefix("env:") else {
        return Err(Refused {
            message: format!("{} is not a variable that is known here", quoted(&format!("${{{inside}}}"))),
            label: "only `${env:NAME}` is replaced".to_owned(),
            help: format!(
                "write `${{env:{}}}` for a variable of the environment; for a plain `${{` write `$${{`",
                if is_name(inside) { inside } else { "NAME" }
            ),
        });
    };
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (body, None),
    };
    if !is_name(name) || default.is_some_and(|default| default.contains("${")) {
        return Err(Refused {
            message: format!("{} cannot be read", quoted(&format!("${{{inside}}}"))),
            label: "not `${env:NAME}` or `${env:NAME:-default}`".to_owned(),
            help: "a name is letters, digits and `_`, and does not start with a digit; a default is plain text without `}`"
                .to_owned(),
        });
    }
    // As in a shell, `:-` also stands in for a variable that is set to nothing.
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Refused {
            message: format!("the environment variable `{name}` is not set"),
            label: "needed here".to_owned(),
            help: format!("set it, or give a default: `${{env:{name}:-default}}`"),
        }),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "USER" => Some("me".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${env:USER}".to_owned()),
            _ => None,
        }
    }

    fn text(written: &str) -> String {
        expand(written, &env).unwrap().text
    }

    #[test]
    fn variables_are_replaced_once_and_marked() {
        assert_eq!(text("a ${env:USER} b ${env:USER}"), "a me b me");
        assert_eq!(text("${env:NONE:-x:-y}${env:EMPTY:-z}${env:EMPTY}"), "x:-yz");
        assert_eq!(text("${env:NESTED}"), "${env:USER}");
        assert!(expand("${env:NONE:-x}", &env).unwrap().from_env);
        assert_eq!(
            expand("$${env:USER} $5", &env),
            Ok(Expanded { text: "${env:USER} $5".to_owned(), from_env: false })
        );
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        for (written, expected) in [
            ("${env:NONE}", "the environment variable `NONE` is not set"),
            ("${env:USER", "a `${` is not closed"),
            ("${USER}", "`${USER}` is not a variable that is known here"),
            ("${env:1}", "`${env:1}` cannot be read"),
            ("${env:}", "`${env:}` cannot be read"),
        ] {
            assert_eq!(expand(written, &env).unwrap_err().message, expected);
        }
    }
}
