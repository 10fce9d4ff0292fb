"""Mapping templates of deployed APIs against airspeed, another implementation of Velocity's core.

Each template is the response template of a MOCK integration; what the API answers is what airspeed renders. Left out is
what airspeed 0.7 does not have: `#[[ ]]#`, doubled quotes, most methods of texts, and blanks before `#set`.
"""

import json
import urllib.request

import airspeed
import pytest

TEMPLATES = [
    "plain text, $5 and # and 100%",
    "#set($x = 'v')$x ${x}y $!x $!missing.",
    "$missing ${missing}",
    "#set($n = 1 + 2 * 3)$n|#set($n = ($n - 1) / 2)$n",
    "#if(1 == 1)a#{else}b#end#if(2 < 1)c#elseif(2 > 1)d#{else}e#end",
    "#if(true && !false)a#end#if(false || true)b#end",
    "#foreach($i in [1, 2, 3])$i#if($foreach.hasNext),#end#end",
    "#foreach($i in ['a', 'b'])$foreach.count:$foreach.index:$i #end",
    "#foreach($i in [1..4])$i#end",
    "#foreach($a in [1, 2])#foreach($b in ['x', 'y'])$a$b #end#end",
    "#set($l = ['a', 'b', 'c'])$l.size() $l.get(1) $l[2]",
    "#set($m = {'k': 'v', 'n': 1})$m.k $m.get('n')",
    "#set($s = 'Hello')$s.length() $s.replace('l', 'L')",
    "#set($name = 'w')#set($s = \"hello $name, ${name}s\")$s",
    "#set($s = 'no $name')$s",
    "a ## to the end of the line\nb #* in\nbetween *#c",
    "#set($x = [])#set($done = $x.add('a'))$x.size()",
    "{\"a\": \"#if(true)b#end\", \"list\": [#foreach($i in [1..2]){\"i\": $i}#if($foreach.hasNext), #end#end]}",
]


@pytest.fixture(scope="module")
def render(client, environment):
    """Renders a template of the list by its place in it."""
    apis = client("apigateway")
    paths = {
        f"/t{place}": {
            "get": {
                "responses": {"200": {"description": "200"}},
                "x-amazon-apigateway-integration": {
                    "type": "mock",
                    "requestTemplates": {"application/json": '{"statusCode": 200}'},
                    "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": template}}},
                },
            }
        }
        for place, template in enumerate(TEMPLATES)
    }
    document = {"openapi": "3.0.1", "info": {"title": "templates", "version": "1"}, "paths": paths}
    api = apis.import_rest_api(body=json.dumps(document).encode())["id"]
    apis.create_deployment(restApiId=api, stageName="t")

    def call(place):
        url = f"{environment['AWS_ENDPOINT_URL']}/_api/{api}/t/t{place}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    yield call
    apis.delete_rest_api(restApiId=api)


@pytest.mark.pinfra
@pytest.mark.parametrize("place", range(len(TEMPLATES)), ids=TEMPLATES)
def test_a_template_renders_as_in_airspeed(render, place):
    assert render(place) == airspeed.Template(TEMPLATES[place]).merge({})
