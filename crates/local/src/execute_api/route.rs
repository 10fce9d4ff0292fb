//! From a path to a resource: literal segments before parameters, parameters before `{proxy+}`. A resource without methods
//! is no answer, so a less specific one may be.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::method::Method;

/// All resources of an API.
#[derive(Debug, Default)]
pub(super) struct Routes {
    root: Branch,
}

#[derive(Debug, Default)]
struct Branch {
    methods: BTreeMap<String, Arc<Method>>,
    literals: HashMap<String, Branch>,
    parameter: Option<(String, Box<Branch>)>,
    greedy: Option<(String, BTreeMap<String, Arc<Method>>)>,
}

/// Values of path parameters.
pub(super) type PathValues = Vec<PathValue>;

/// The value of one path parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathValue {
    pub(super) name: String,
    /// As sent, with its escapes.
    pub(super) raw: String,
    /// Decoded.
    pub(super) value: String,
}

impl Routes {
    /// Adds a resource by its path, such as `/streams/{stream-name}`, with its methods by verb.
    pub(super) fn add(&mut self, path: &str, methods: BTreeMap<String, Arc<Method>>) {
        let mut branch = &mut self.root;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            branch = match parameter {
                None => branch.literals.entry(segment.to_owned()).or_default(),
                Some(name) => match name.strip_suffix('+') {
                    Some(name) => {
                        branch.greedy = Some((name.to_owned(), methods));
                        return;
                    }
                    None => &mut branch.parameter.get_or_insert_with(|| (name.to_owned(), Box::default())).1,
                },
            };
        }
        branch.methods = methods;
    }

    /// The method for a raw path, below the stage. A slash at its end does not matter, but to `{proxy+}`.
    pub(super) fn find(&self, verb: &str, path: &str) -> Option<(Arc<Method>, PathValues)> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut values = Vec::new();
        let methods = find(&self.root, path, &mut values)?;
        let method = methods.get(verb).or_else(|| methods.get("ANY"))?;
        Some((Arc::clone(method), values))
    }
}

fn find<'r>(branch: &'r Branch, path: &str, values: &mut PathValues) -> Option<&'r BTreeMap<String, Arc<Method>>> {
    if path.is_empty() {
        return (!branch.methods.is_empty()).then_some(&branch.methods);
    }
    let (segment, rest) = path.split_once('/').unwrap_or((path, ""));
    let decoded = percent_decode_str(segment).decode_utf8_lossy();
    if let Some(below) = branch.literals.get(decoded.as_ref())
        && let Some(methods) = find(below, rest, values)
    {
        return Some(methods);
    }
    if let Some((name, below)) = &branch.parameter
        && !segment.is_empty()
    {
        let before = values.len();
        values.push(PathValue { name: name.clone(), raw: segment.to_owned(), value: decoded.into_owned() });
        if let Some(methods) = find(below, rest, values) {
            return Some(methods);
        }
        values.truncate(before);
    }
    let (name, methods) = branch.greedy.as_ref().filter(|(_, methods)| !methods.is_empty())?;
    let value = percent_decode_str(path).decode_utf8_lossy().into_owned();
    values.push(PathValue { name: name.clone(), raw: path.to_owned(), value });
    Some(methods)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(paths: &[(&str, &[&str])]) -> Routes {
        let mut routes = Routes::default();
        for (path, verbs) in paths {
            let method = |verb: &&str| ((*verb).to_owned(), Arc::new(Method::for_test(path, verb)));
            routes.add(path, verbs.iter().map(method).collect());
        }
        routes
    }

    #[test]
    fn the_most_specific_resource_with_methods_answers() {
        let routes = routes(&[
            ("/", &["GET"]),
            ("/streams", &["GET"]),
            ("/streams/{name}", &["GET", "ANY"]),
            ("/streams/{name}/record", &["PUT"]),
            ("/streams/all", &["GET"]),
            ("/bare", &[]),
            ("/bare/x", &["GET"]),
            ("/files/{proxy+}", &["ANY"]),
            ("/{proxy+}", &["POST"]),
        ]);
        let found = |verb: &str, path: &str| {
            let (method, values) = routes.find(verb, path)?;
            let values: Vec<String> =
                values.iter().map(|one| format!("{}={}|{}", one.name, one.raw, one.value)).collect();
            Some(format!("{} {} {}", method.verb, method.path, values.join(",")))
        };
        for (verb, path, expected) in [
            ("GET", "", Some("GET / ")),
            ("GET", "/", Some("GET / ")),
            ("GET", "/streams", Some("GET /streams ")),
            ("GET", "/streams/", Some("GET /streams ")),
            ("POST", "/streams", None),
            ("GET", "/streams/all", Some("GET /streams/all ")),
            ("GET", "/streams/a%20b", Some("GET /streams/{name} name=a%20b|a b")),
            ("DELETE", "/streams/x", Some("ANY /streams/{name} name=x|x")),
            ("PUT", "/streams/x%2Fy/record", Some("PUT /streams/{name}/record name=x%2Fy|x/y")),
            // `/streams/all` has nothing below it, the parameter has.
            ("PUT", "/streams/all/record", Some("PUT /streams/{name}/record name=all|all")),
            ("GET", "/files/a/b%20c/", Some("ANY /files/{proxy+} proxy=a/b%20c/|a/b c/")),
            ("POST", "/bare", Some("POST /{proxy+} proxy=bare|bare")),
            ("GET", "/nothing", None),
        ] {
            assert_eq!(found(verb, path).as_deref(), expected, "{verb} {path}");
        }
    }
}
