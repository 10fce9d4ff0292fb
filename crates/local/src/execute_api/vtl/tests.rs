//! Templates and what they make: each row is a template, a body, and the whole text that comes of it.

use std::cell::RefCell;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Environment, ParseError, RenderError, Template};

#[derive(Default)]
struct Given {
    body: String,
    overrides: RefCell<Vec<(Vec<String>, Value)>>,
}

impl Environment for Given {
    fn body(&self) -> &str {
        &self.body
    }

    fn parameter(&self, name: &str) -> Option<String> {
        match name {
            "stream-name" => Some("streaming-pin".to_owned()),
            "q" => Some("a b".to_owned()),
            _ => None,
        }
    }

    fn parameters(&self) -> Value {
        json!({"path": {"stream-name": "streaming-pin"}, "querystring": {"q": "a b"}, "header": {}})
    }

    fn context(&self) -> Value {
        json!({"requestId": "r-1", "identity": {"sourceIp": "127.0.0.1"}, "stage": "dev"})
    }

    fn set_context(&self, path: &[String], value: Value) {
        self.overrides.borrow_mut().push((path.to_vec(), value));
    }

    fn stage_variables(&self) -> Value {
        json!({"host": "example.com"})
    }
}

fn try_render(template: &str, body: &str) -> Result<String, RenderError> {
    let given = Given { body: body.to_owned(), ..Given::default() };
    Template::parse(template).unwrap_or_else(|error| panic!("{template}: {error}")).render(&given)
}

#[track_caller]
fn renders(template: &str, body: &str, expected: &str) {
    assert_eq!(try_render(template, body).as_deref(), Ok(expected), "{template}");
}

const PIN: &str = r#"{"StreamName":"x","Data":{"index":7528,"title":"No \"Title\" é","lat":-89.90,"big":123456789012345678901,"none":null,"tags":["a","b"]},"PartitionKey":"7528"}"#;

#[test]
fn the_template_of_put_record() {
    let template = r#"{
    "StreamName": "$input.params('stream-name')",
    "Data": "$util.base64Encode($input.json('$.Data'))",
    "PartitionKey": "$input.path('$.PartitionKey')"
}"#;
    let rendered = try_render(template, PIN).unwrap();
    let request: Value = serde_json::from_str(&rendered).unwrap();
    assert_eq!(request["StreamName"], "streaming-pin");
    assert_eq!(request["PartitionKey"], "7528");
    use base64::Engine;
    let data = base64::engine::general_purpose::STANDARD.decode(request["Data"].as_str().unwrap()).unwrap();
    // Key order, the trailing zero and the large integer are as they came.
    assert_eq!(
        String::from_utf8(data).unwrap(),
        r#"{"index":7528,"title":"No \"Title\" é","lat":-89.90,"big":123456789012345678901,"none":null,"tags":["a","b"]}"#
    );
}

#[test]
fn the_template_of_put_records() {
    let template = r#"{"Records": [#foreach($elem in $input.path('$.records')){"Data": "$util.base64Encode($elem.data)", "PartitionKey": "$elem.partition-key"}#if($foreach.hasNext),#end#end]}"#;
    let body = r#"{"records":[{"data":"{}","partition-key":"1"},{"data":"x","partition-key":"2"}]}"#;
    renders(
        template,
        body,
        r#"{"Records": [{"Data": "e30=", "PartitionKey": "1"},{"Data": "eA==", "PartitionKey": "2"}]}"#,
    );
}

/// The three traps: a string keeps its quotes, base64 of the client is wrapped once more, an object becomes a Java map.
#[test]
fn encoding_traps() {
    renders("$input.json('$.Data')", r#"{"Data":"{\"index\":1}"}"#, r#""{\"index\":1}""#);
    renders("$input.json('$.Data')", r#"{"Data":"eyJpIjoxfQ=="}"#, r#""eyJpIjoxfQ==""#);
    renders(
        "$input.path('$.Data')",
        r#"{"Data":{"index":7528,"title":"a, b","x":[1,null]}}"#,
        "{index=7528, title=a, b, x=[1, null]}",
    );
    renders("#foreach($e in $input.path('$.r'))$e.data#end", r#"{"r":[{"data":{"a":{"b":true}}}]}"#, "{a={b=true}}");
}

#[test]
fn defaults_of_create_stream() {
    let template = "#if($input.path('$.ShardCount') == '')\n  5\n#else\n  $input.path('$.ShardCount')\n#end";
    renders(template, "{}", "  5\n");
    renders(template, r#"{"ShardCount": 2}"#, "  2\n");
    renders(template, "", "  5\n");
}

#[test]
fn references() {
    renders("#set($x='v')$x ${x}y $!x $!{x}", "", "v vy v v");
    renders("$missing ${missing} $!missing-", "", "$missing ${missing} ");
    renders("$missing.foo($x, 'y').bar", "", "$missing.foo($x, 'y').bar");
    renders("$5 $ $$ ${ US$", "", "$5 $ $$ ${ US$");
    renders("#set($x=1)$x. $x.", "", "1. 1.");
    renders("#set($x='v')\\$x \\\\$x \\$missing \\n", "", "$x \\v \\$missing \\n");
    renders("#set($m={'a':{'b':[1,2]}})$m.a.b[1] $m['a'] $m.a.b.size()", "", "2 {b=[1, 2]} 2");
    renders("#set($l=['x','y'])$l[0]$l[-1] $l.get(1) $l[7]", "", "xy y $l[7]");
    renders("#set($x=1)$x[abc] mail@x #hash #1", "", "1[abc] mail@x #hash #1");
    renders(
        "$context.stage $context.identity.sourceIp [$context.identity.caller] [$context.a.b]",
        "",
        "dev 127.0.0.1 [] [$context.a.b]",
    );
    renders("$stageVariables.host [$stageVariables.none] ${stageVariables.host}", "", "example.com [] example.com");
}

#[test]
fn parameters() {
    renders(
        "$input.params('q')|$input.params('none')|$input.params().querystring.q|$input.params().path.get('stream-name')",
        "",
        "a b||a b|streaming-pin",
    );
    renders(
        "#foreach($k in $input.params().querystring.keySet())$k=$input.params().querystring.get($k)#end",
        "",
        "q=a b",
    );
}

#[test]
fn directives_take_their_line_break_along() {
    renders("a\n  #set($x = 1)  \nb", "", "a\nb");
    renders("#if(true)\nyes\n#else\nno\n#end\nrest", "", "yes\nrest");
    renders("#if(false)a#elseif(1 == 1)b#{else}c#{end}d", "", "bd");
    renders("x ## comment\ny #* block\n comment *# z", "", "x y  z");
    renders("#[[ $x #if ]]#", "", " $x #if ");
    renders("#foreach($i in [1..3])\n$i\n#end", "", "1\n2\n3\n");
    renders("\\#if(true) \\\\#if(true)x#end", "", "#if(true) \\x");
}

#[test]
fn loops() {
    let template =
        "#foreach($i in ['a','b'])$foreach.index$foreach.count$foreach.first$foreach.last$foreach.hasNext,#end$i";
    renders(template, "", "01truefalsetrue,12falsetruefalse,$i");
    renders("#foreach($i in [3..1])#if($i == 1)#break#end$i#end.", "", "32.");
    renders("#foreach($i in [1,2])#foreach($j in [1,2])$foreach.parent.count$j #end#end", "", "11 12 21 22 ");
    renders("a#foreach($i in [1,2])$i#stop#end b", "", "a1");
    renders("#foreach($v in {'a':1,'b':2})$v#end", "", "12");
    renders("#set($m={'a':1,'b':2})#foreach($e in $m.entrySet())$e.key=$e.value;$e.getKey()#end", "", "a=1;ab=2;b");
    renders("#foreach($i in $none)x#end#foreach($i in 'abc')x#end", "", "");
    renders("#foreach($i in [1,2])$velocityCount#end", "", "12");
}

#[test]
fn expressions() {
    renders("#set($x = 1 + 2 * 3 - 4 / 2 % 5)$x", "", "5");
    renders("#set($x = (1 + 2) * 3)$x|#set($y = -$x)$y|  #set($z = 7 / 2.0)$z", "", "9|-9|3.5");
    renders("#set($x = 'a' + 1 + \"b\")$x", "", "a1b");
    renders("#if(1 == 1.0 && !(2 < 1) and 'a' != 'b' || false)t#end", "", "t");
    renders("#if(2 gt 1 and 1 le 1 and 1 ne 2 and not false)t#end", "", "t");
    renders("#if('1' == 1)t#end#if(\"\")e#end#if($none)n#end#if(0)z#end#if($none == $gone)g#end", "", "tezg");
    renders("#set($x = 1)#set($x = $none)$x#set($x = 1/0)$x", "", "11");
    renders("#if('a' < 'b')x#{else}y#end", "", "y");
    renders(
        "#set($n='w')#set($s=\"hello $n ${n}s ''q'' #if(true)i#end\")$s ''|#set($t='it''s $n')$t",
        "",
        "hello w ws ''q'' i ''|it's $n",
    );
    renders("#set($s=\"say \"\"hi\"\"\")$s", "", "say \"hi\"");
    renders(
        "#set($m = {\"a\": 1, 'b': [1, 'x', {}], 'c': true, 'd': null})$m",
        "",
        "{a=1, b=[1, x, {}], c=true, d=null}",
    );
    renders("#set($x = 9223372036854775807 + 1)$x", "", "9223372036854775808");
}

#[test]
fn texts() {
    renders(
        "#set($s=' Hello ')$s.trim().length() $s.toUpperCase() $s.trim().substring(1,3) $s.trim().substring(4)",
        "",
        "5  HELLO  el o",
    );
    renders("#set($s='a,b,,c,,')$s.split(',') $s.split(',').size()", "", "[a, b, , c] 4");
    renders(
        "#set($s='abc')$s.replace('b','$') $s.replaceAll('[ab]','<$0>') $s.matches('[a-c]+') $s.matches('a')",
        "",
        "a$c <a><b>c true false",
    );
    renders(
        "#set($s='abc')$s.indexOf('c')$s.indexOf('z')$s.contains('b')$s.startsWith('a')$s.endsWith('a')$s.isEmpty()$s.equals('abc')",
        "",
        "2-1truetruefalsefalsetrue",
    );
    renders("#set($s='é😀x')$s.length() $s.substring(3)", "", "4 x");
    renders("#set($s='abc')$s.substring(9)", "", "$s.substring(9)");
    // The idiom that undoes what escapeJavaScript does to single quotes.
    renders(r#"$util.escapeJavaScript("it's").replaceAll("\\'","'")"#, "", "it's");
}

#[test]
fn lists_and_maps() {
    renders(
        "#set($l=[])#set($ignored=$l.add('x'))$l.size()$l.isEmpty()$l.contains('x') $l.add('y') $l",
        "",
        "1falsetrue true [x, y]",
    );
    renders(
        "#set($m={})$m.put('k', 1)$!m.put('k2', 2)$m.put('k', 3) $m $m.containsKey('k') $m.keySet() $m.get('none')",
        "",
        "$m.put('k', 1)1 {k=3, k2=2} true [k, k2] $m.get('none')",
    );
    renders("#set($m={'l':[]})#set($l=$m.l)#set($ignored=$l.add(1))$m", "", "{l=[1]}");
    renders("#set($m={})#set($m.a = 1)#set($m['b'] = 2)$m", "", "{a=1, b=2}");
}

#[test]
fn util() {
    renders(
        "$util.base64Encode('é') $util.base64Decode('w6k=') $util.urlEncode('a b&é*') $util.urlDecode('a+b%26')",
        "",
        "w6k= é a+b%26%C3%A9* a b&",
    );
    renders("$util.escapeJavaScript($input.body)", "a'b\"c\\/\n\té", r#"a\'b\"c\\\/\n\t\u00E9"#);
    renders("#set($o=$util.parseJson($input.json('$.a')))$o.b[0]", r#"{"a":{"b":["x"]}}"#, "x");
}

#[test]
fn json_paths() {
    let body = r#"{"a":{"b-c":[{"x":1},{"x":2}],"d e":"f"},"n":null,"e":[]}"#;
    renders("$input.path('$.a.b-c[0].x')$input.path(\"$['a']['b-c'][-1].x\")", body, "12");
    renders(
        "$input.json('$.a.b-c[*].x') $input.json('$..x') $input.json(\"$.a['d e']\") $input.json('$.a.b-c[0:1]')",
        body,
        "[1,2] [1,2] \"f\" [{\"x\":1}]",
    );
    renders(
        "[$input.path('$.none')] [$input.path('$.n')] [$input.path('$.a.none.deeper')] $input.json('$.none') $input.json('$.n') $input.json('$.e')",
        body,
        "[] [] [] \"\" null []",
    );
    renders("$input.json('$')", " {\"a\" : [ 1.0, 1e5 , -0 ] } ", r#"{"a":[1.0,1e5,-0]}"#);
    renders("$input.body", "not json", "not json");
}

#[test]
fn what_cannot_be_rendered() {
    assert!(matches!(try_render("$input.json('$')", "{\"a\":"), Err(RenderError::Body(_))));
    assert!(matches!(try_render("$input.path('$.a')", &"[".repeat(10_000)), Err(RenderError::Body(_))));
    for template in [
        "$input.path('$.a[?(@.b)]')",
        "$util.toJson('x')",
        "$util.base64Decode('***')",
        "#set($s='x')$s.foo()",
        "#foreach($i in [1..1001])x#end",
        "#set($s='x')#foreach($i in [1..40])#set($s=\"$s$s\")#end",
        "#set($l=[])#foreach($i in [1..99])#set($x=$l.add($l))#end$l",
        "#foreach($i in [1..1000])#foreach($j in [1..1000])#foreach($k in [1..1000])$k#end#end#end",
    ] {
        assert!(matches!(try_render(template, "{}"), Err(RenderError::Template(_))), "{template}");
    }
}

#[test]
fn what_cannot_be_parsed() {
    for (template, line) in [
        ("#if(true)", 1),
        ("a\n#end", 2),
        ("#else", 1),
        ("#set($x)", 1),
        ("#set(x = 1)", 1),
        ("\n\n#set($x = )", 3),
        ("${x", 1),
        ("$x.foo(", 1),
        ("#foreach($x of [1])#end", 1),
        ("#if(true)#else#else#end", 1),
        ("#* x", 1),
        ("#macro(x)#end", 1),
        ("#set($x = 'a)", 1),
    ] {
        let error: ParseError = Template::parse(template).expect_err(template);
        assert_eq!(error.line, line, "{template}: {error}");
    }
    let deep = format!("#if({}", "(".repeat(100_000));
    Template::parse(&deep).unwrap_err();
    Template::parse(&"#if(true)".repeat(100_000)).unwrap_err();
    Template::parse(&format!("#set($x = {}1)", "1+".repeat(100_000))).unwrap_err();
    Template::parse(&format!("#set($x = {}1)", "!".repeat(100_000))).unwrap_err();
}

#[test]
fn an_override_reaches_the_context() {
    let given = Given::default();
    let template = "#set($context.responseOverride.status = 400)#set($context.responseOverride.header['x-a'] = 'b')";
    Template::parse(template).unwrap().render(&given).unwrap();
    let path = |path: &[&str]| path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let expected = vec![
        (path(&["responseOverride", "status"]), json!(400)),
        (path(&["responseOverride", "header", "x-a"]), json!("b")),
    ];
    assert_eq!(given.overrides.into_inner(), expected);
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "$x",
        "${x}",
        "$!x.y",
        "#set($x = ",
        "#if(",
        "#else",
        "#elseif(",
        "#end",
        "#foreach($i in ",
        "$foreach.hasNext",
        ")",
        "(",
        "[1..3]",
        "[",
        "]",
        "{",
        "}",
        "'",
        "\"",
        "a",
        " ",
        "\n",
        "\\",
        "#",
        "$",
        "$input.path('$.a')",
        "$input.json('$..*')",
        "$x.add($x)",
        "$x.put('a', $x)",
        "==",
        "+",
        "-",
        "1",
        "2.5",
        ".",
        ",",
        "..",
        "é",
        "##",
        "#*",
        "*#",
        "#[[",
        "]]#",
        "$util.escapeJavaScript(",
        "$input.body.substring(1, 2)",
        ".split('')",
        "#stop",
        ":",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_parses_or_is_refused(text in pieces(), body in any::<String>()) {
        if let Ok(template) = Template::parse(&text) {
            let _rendered_or_refused = template.render(&Given { body, ..Given::default() });
        }
    }

    #[test]
    fn text_without_signs_is_itself(text in "[^$#\\\\]*") {
        prop_assert_eq!(try_render(&text, ""), Ok(text));
    }

    #[test]
    fn json_comes_out_as_it_went_in(value in json_values()) {
        let text = value.to_string();
        prop_assert_eq!(try_render("$input.json('$')", &text), Ok(text));
    }

    #[test]
    fn broken_json_is_a_fault_of_the_body(value in json_values(), cut in any::<prop::sample::Index>()) {
        let text = format!("[{value}]");
        let end = (1..text.len()).filter(|end| text.is_char_boundary(*end)).nth(cut.index(text.len()) / 2).unwrap_or(1);
        prop_assert!(matches!(try_render("$input.json('$')", &text[..end]), Err(RenderError::Body(_))));
    }

    #[test]
    fn escaped_texts_are_read_back(text in any::<String>()) {
        let escaped = try_render("\"$util.escapeJavaScript($input.body)\"", &text).unwrap().replace("\\'", "'");
        prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
