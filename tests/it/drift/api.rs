//! Changes in API Gateway.

use aws_sdk_apigateway::types::{IntegrationType, Op, PatchOperation};

use super::world::{Change, STAGE, World, change};

fn replace(path: &str, value: &str) -> PatchOperation {
    PatchOperation::builder().op(Op::Replace).path(path).value(value).build()
}

pub(super) fn changes(world: &World) -> Vec<Change<'_>> {
    let mut changes = around(world);
    changes.extend(inside(world));
    changes.extend(keys(world));
    changes
}

/// Stages and deployments.
fn around(world: &World) -> Vec<Change<'_>> {
    let (gateway, api) = (&world.clients.apigateway, world.api.as_str());
    let served = move || async move {
        let stage = gateway.get_stage().rest_api_id(api).stage_name(STAGE).send().await.unwrap();
        stage.deployment_id.unwrap()
    };
    let stage = move |patch: PatchOperation| async move {
        let update = gateway.update_stage().rest_api_id(api).stage_name(STAGE).patch_operations(patch);
        update.send().await.unwrap();
    };
    let deploy = move || async move {
        let made = gateway.create_deployment().rest_api_id(api).description("by hand").send().await.unwrap();
        made.id.unwrap()
    };
    let kept = std::sync::Arc::new(std::sync::Mutex::new((String::new(), String::new())));
    let [one, one_back, two, two_back, host, host_back, secret, secret_back] = std::array::from_fn(|_| kept.clone());
    let [edited, edited_back] = std::array::from_fn(|_| kept.clone());
    let keyed = move |required: &'static str| async move {
        let all = gateway.get_resources().rest_api_id(api).limit(500).send().await.unwrap();
        let streams = all.items().iter().find(|item| item.path() == Some("/streams")).and_then(|item| item.id.clone());
        let update = gateway.update_method().rest_api_id(api).resource_id(streams.unwrap()).http_method("GET");
        update.patch_operations(replace("/apiKeyRequired", required)).send().await.unwrap();
    };
    let variable = move |name: &'static str| async move {
        let stage = gateway.get_stage().rest_api_id(api).stage_name(STAGE).send().await.unwrap();
        stage.variables.unwrap().remove(name).unwrap()
    };
    vec![
        change(
            "another stage is made",
            &["unmanaged api_gateway/rest_api.api"],
            async move {
                let make = gateway.create_stage().rest_api_id(api).stage_name("test").deployment_id(served().await);
                make.send().await.unwrap();
            },
            async move {
                gateway.delete_stage().rest_api_id(api).stage_name("test").send().await.unwrap();
            },
        ),
        change(
            "a deployment is made by hand",
            &["unmanaged api_gateway/deployment.api"],
            async move { one.lock().unwrap().0 = deploy().await },
            async move {
                let made = one_back.lock().unwrap().0.clone();
                gateway.delete_deployment().rest_api_id(api).deployment_id(made).send().await.unwrap();
            },
        ),
        change(
            "the stage serves another deployment",
            &["unmanaged api_gateway/deployment.api", "unhealthy api_gateway/stage.api#deployment"],
            async move {
                let (was, made) = (served().await, deploy().await);
                stage(replace("/deploymentId", &made)).await;
                *two.lock().unwrap() = (was, made);
            },
            async move {
                let (was, made) = two_back.lock().unwrap().clone();
                stage(replace("/deploymentId", &was)).await;
                gateway.delete_deployment().rest_api_id(api).deployment_id(made).send().await.unwrap();
            },
        ),
        change(
            "a method is edited and deployed, and put back in the API alone",
            &["unmanaged api_gateway/deployment.api", "unhealthy api_gateway/stage.api#deployment"],
            async move {
                let was = served().await;
                keyed("false").await;
                let made = deploy().await;
                stage(replace("/deploymentId", &made)).await;
                keyed("true").await;
                *edited.lock().unwrap() = (was, made);
            },
            async move {
                let (was, made) = edited_back.lock().unwrap().clone();
                stage(replace("/deploymentId", &was)).await;
                gateway.delete_deployment().rest_api_id(api).deployment_id(made).send().await.unwrap();
            },
        ),
        change(
            "one method is throttled by itself",
            &["unmanaged api_gateway/stage.api"],
            stage(replace("/~1streams/GET/throttling/rateLimit", "1")),
            stage(PatchOperation::builder().op(Op::Remove).path("/~1streams/GET").build()),
        ),
        change(
            "the stage leads to another gateway",
            &["changed api_gateway/stage.api#variables.gateway"],
            async move {
                host.lock().unwrap().0 = variable("gateway").await;
                stage(replace("/variables/gateway", "192.0.2.1")).await;
            },
            async move {
                let was = host_back.lock().unwrap().0.clone();
                stage(replace("/variables/gateway", &was)).await;
            },
        ),
        change(
            "the stage shows the gateway another secret",
            &["changed api_gateway/stage.api#variables.gateway_secret"],
            async move {
                secret.lock().unwrap().0 = variable("gateway_secret").await;
                stage(replace("/variables/gateway_secret", "hunter2")).await;
            },
            async move {
                let was = secret_back.lock().unwrap().0.clone();
                stage(replace("/variables/gateway_secret", &was)).await;
            },
        )
        .hiding("hunter2"),
        change(
            "the stage lets fewer calls through",
            &["changed api_gateway/stage.api#throttle_rate"],
            stage(replace("/*/*/throttling/rateLimit", "7")),
            stage(replace("/*/*/throttling/rateLimit", "5000")),
        ),
    ]
}

/// What callers can do with it.
fn inside(world: &World) -> Vec<Change<'_>> {
    let (gateway, api) = (&world.clients.apigateway, world.api.as_str());
    let resource = move |path: &'static str| async move {
        let all = gateway.get_resources().rest_api_id(api).limit(500).send().await.unwrap();
        all.items().iter().find(|item| item.path() == Some(path)).and_then(|item| item.id.clone()).unwrap()
    };
    let keyed = move |required: &'static str| async move {
        let id = resource("/streams").await;
        let update = gateway.update_method().rest_api_id(api).resource_id(id).http_method("GET");
        update.patch_operations(replace("/apiKeyRequired", required)).send().await.unwrap();
    };
    let timeout = move |millis: &'static str| async move {
        let id = resource("/streams").await;
        let update = gateway.update_integration().rest_api_id(api).resource_id(id).http_method("GET");
        update.patch_operations(replace("/timeoutInMillis", millis)).send().await.unwrap();
    };
    let described = move |text: &'static str| async move {
        let update = gateway.update_rest_api().rest_api_id(api).patch_operations(replace("/description", text));
        update.send().await.unwrap();
    };
    let kept = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let back = kept.clone();
    vec![
        change(
            "one more method answers",
            &["unmanaged api_gateway/rest_api.api#document.paths./open.GET"],
            async move {
                let root = resource("/").await;
                let made = gateway.create_resource().rest_api_id(api).parent_id(root).path_part("open");
                let id = made.send().await.unwrap().id.unwrap();
                let method = gateway.put_method().rest_api_id(api).resource_id(&id).http_method("GET");
                method.authorization_type("NONE").send().await.unwrap();
                let integration = gateway.put_integration().rest_api_id(api).resource_id(&id).http_method("GET");
                integration.r#type(IntegrationType::Mock).send().await.unwrap();
                *kept.lock().unwrap() = id;
            },
            async move {
                let id = back.lock().unwrap().clone();
                gateway.delete_resource().rest_api_id(api).resource_id(id).send().await.unwrap();
            },
        ),
        change(
            "a method asks for no key any more",
            &["changed api_gateway/rest_api.api#document.paths./streams.GET.api_key_required"],
            keyed("false"),
            keyed("true"),
        ),
        change(
            "an integration waits less long",
            &["changed api_gateway/rest_api.api#document.paths./streams.GET.integration.timeout_millis"],
            timeout("1000"),
            timeout("29000"),
        ),
        change(
            "the API is described otherwise",
            &["changed api_gateway/rest_api.api#description"],
            described("mine"),
            described("takes events for the stack pins"),
        ),
    ]
}

/// Who may call.
fn keys(world: &World) -> Vec<Change<'_>> {
    let (gateway, api, plan) = (&world.clients.apigateway, world.api.as_str(), world.plan.as_str());
    let key = move |patch: PatchOperation| async move {
        gateway.update_api_key().api_key(&world.key).patch_operations(patch).send().await.unwrap();
    };
    let described = move |text: &'static str| async move {
        let update = gateway.update_usage_plan().usage_plan_id(plan).patch_operations(replace("/description", text));
        update.send().await.unwrap();
    };
    let kept = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let [more, more_back, other, other_back] = std::array::from_fn(|_| kept.clone());
    let tag = move |value: &'static str| async move {
        let arn = format!("arn:aws:apigateway:us-east-1::/restapis/{api}");
        gateway.tag_resource().resource_arn(arn).tags("team", value).send().await.unwrap();
    };
    vec![
        change(
            "the key lets nobody in",
            &["changed api_gateway/api_key.api#enabled"],
            key(replace("/enabled", "false")),
            key(replace("/enabled", "true")),
        ),
        change(
            "the key is taken from its plan",
            &["changed api_gateway/usage_plan.api#keys"],
            async move {
                let take = gateway.delete_usage_plan_key().usage_plan_id(plan).key_id(&world.key);
                take.send().await.unwrap();
            },
            async move {
                let give = gateway.create_usage_plan_key().usage_plan_id(plan).key_id(&world.key);
                give.key_type("API_KEY").send().await.unwrap();
            },
        ),
        change(
            "another key is put on the plan",
            &["unmanaged api_gateway/usage_plan.api#keys"],
            async move {
                let made = gateway.create_api_key().name("mine").enabled(true).send().await.unwrap().id.unwrap();
                let give = gateway.create_usage_plan_key().usage_plan_id(plan).key_id(&made).key_type("API_KEY");
                give.send().await.unwrap();
                *more.lock().unwrap() = made;
            },
            async move {
                let made = more_back.lock().unwrap().clone();
                gateway.delete_api_key().api_key(made).send().await.unwrap();
            },
        ),
        change(
            "another plan lets others call the stage",
            &["unmanaged api_gateway/stage.api"],
            async move {
                let on = aws_sdk_apigateway::types::ApiStage::builder().api_id(api).stage(STAGE).build();
                let made = gateway.create_usage_plan().name("mine").api_stages(on).send().await.unwrap();
                *other.lock().unwrap() = made.id.unwrap();
            },
            async move {
                let made = other_back.lock().unwrap().clone();
                let stage = PatchOperation::builder().op(Op::Remove).path("/apiStages").value(format!("{api}:{STAGE}"));
                gateway.update_usage_plan().usage_plan_id(&made).patch_operations(stage.build()).send().await.unwrap();
                gateway.delete_usage_plan().usage_plan_id(made).send().await.unwrap();
            },
        ),
        change(
            "the plan is described otherwise",
            &["changed api_gateway/usage_plan.api#description"],
            described("mine"),
            described("who may send events to the stack pins"),
        ),
        change("a tag of the API is changed", &["changed api_gateway/rest_api.api#tags.team"], tag("web"), tag("data")),
    ]
}
