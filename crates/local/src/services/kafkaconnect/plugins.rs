//! Custom plugins: an object of S3 that was looked at once. A new file is a new plugin.

use std::io::{Read, Seek, SeekFrom};

use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::book::{Plugin, Trouble};
use super::desk::Desk;
use super::{Office, archive, describe, errors, paging, tags};
use crate::services::Call;
use crate::services::iam::Context;
use crate::wire::error::ApiError;

/// "The plugin file may be up to 2 GB": larger ones are not hashed.
const MOST_BYTES: u64 = 2 << 30;

pub(super) async fn create(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let name = describe::name(&input["name"], "name")?;
    let tags = tags::given(&input["tags"])?;
    let location = &input["location"]["s3Location"];
    let (bucket, key) = (bucket_of(location)?, location["fileKey"].as_str().unwrap_or_default());
    let version = location["objectVersion"].as_str();

    // MSK Connect reads the object as the caller.
    let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let resource = format!("arn:aws:s3:::{bucket}/{key}");
    office
        .ground
        .iam
        .authorize(&call.principal, action, &[resource], &Context::default())
        .map_err(|error| errors::invalid("s3Location", format!("The object cannot be read. {}", error.message)))?;
    let opened = office.ground.s3.open_object(&bucket, key, version).await;
    let opened = opened.map_err(|refused| {
        errors::invalid("s3Location", format!("The object s3://{bucket}/{key} cannot be read. {refused}"))
    })?;
    let content_type = input["contentType"].as_str().unwrap_or_default().to_owned();
    let wanted = content_type.clone();
    let looked = tokio::task::spawn_blocking(move || look(opened.file, opened.size, &wanted)).await;
    let (md5, trouble) =
        looked.map_err(|error| ApiError::internal(&error))?.map_err(|error| ApiError::internal(&error))?;

    let desk = office.desk.as_ref();
    let uuid = uuid::Uuid::new_v4();
    let plugin = Plugin {
        arn: format!("arn:aws:kafkaconnect:{}:{}:custom-plugin/{name}/{uuid}-2", call.region, call.account),
        region: call.region.clone(),
        name: name.to_owned(),
        description: input["description"].as_str().unwrap_or_default().to_owned(),
        created: desk.now(),
        content_type,
        location: location.clone(),
        size: opened.size,
        md5,
        trouble: call
            .fails
            .clone()
            .or(trouble)
            .map(|message| Trouble { code: "InvalidInput.InvalidCustomPlugin".to_owned(), message }),
        ready_at: desk.settled(),
        gone_at: None,
        tags,
    };
    let answer = json!({
        "customPluginArn": plugin.arn, "customPluginState": "CREATING", "name": plugin.name, "revision": 1,
    });
    let now = desk.now();
    desk.add_plugin(plugin, |book| {
        let taken = book.plugins.values().filter(|other| other.region == call.region && other.name == name);
        match taken.into_iter().find(|other| other.state(now).is_some()) {
            Some(_) => Err(errors::conflict(format!("A custom plugin with the name '{name}' already exists."))),
            None => Ok(()),
        }
    })?;
    Ok(answer)
}

/// The MD5 of a file, and what is wrong with it.
fn look(mut file: std::fs::File, size: u64, content_type: &str) -> std::io::Result<(String, Option<String>)> {
    if size > MOST_BYTES {
        return Ok((String::new(), Some(format!("The file is larger than {MOST_BYTES} bytes"))));
    }
    let mut hash = Md5::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    file.seek(SeekFrom::Start(0))?;
    let trouble = archive::check(std::io::BufReader::new(file), content_type).err();
    Ok((hex::encode(hash.finalize()), trouble))
}

fn bucket_of(location: &Value) -> Result<String, ApiError> {
    let arn = location["bucketArn"].as_str().unwrap_or_default();
    let bucket = arn.strip_prefix("arn:aws:s3:::").filter(|bucket| !bucket.is_empty() && !bucket.contains('/'));
    bucket.map(str::to_owned).ok_or_else(|| errors::invalid("bucketArn", "The specified ARN is not that of a bucket."))
}

pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["customPluginArn"].as_str().unwrap_or_default();
    let book = desk.book();
    let plugin = book.plugins.get(arn).filter(|plugin| plugin.region == call.region);
    let found = plugin.and_then(|plugin| Some((plugin, plugin.state(desk.now())?)));
    let (plugin, state) = found.ok_or_else(|| errors::not_found("custom plugin", arn))?;
    let mut shown = summary(plugin, state);
    if let Some(trouble) = plugin.trouble.as_ref().filter(|_| state == "CREATE_FAILED") {
        shown["stateDescription"] = describe::trouble(trouble);
    }
    Ok(shown)
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let prefix = input["namePrefix"].as_str().unwrap_or_default();
    let (book, now) = (desk.book(), desk.now());
    let here = book.plugins.values().filter(|plugin| plugin.region == call.region && plugin.name.starts_with(prefix));
    let items = here.filter_map(|plugin| Some((plugin.arn.clone(), summary(plugin, plugin.state(now)?))));
    paging::page(items.collect(), input, "customPlugins")
}

pub(super) fn delete(desk: &Desk, _call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["customPluginArn"].as_str().unwrap_or_default();
    let gone_at = desk.settled();
    desk.change_plugin(arn, |plugin, book| {
        let user = book.connectors.values().find(|connector| {
            let plugins = connector.setting.plugins.as_array().into_iter().flatten();
            plugins.into_iter().any(|used| used["customPlugin"]["customPluginArn"] == arn)
        });
        if let Some(connector) = user {
            let name = &connector.name;
            return Err(errors::bad_request(format!(
                "The custom plugin is in use by the connector '{name}'. Delete the connector, or update it to another \
                 plugin, before you delete the plugin."
            )));
        }
        plugin.gone_at.get_or_insert(gone_at);
        Ok(json!({"customPluginArn": arn, "customPluginState": "DELETING"}))
    })
}

fn summary(plugin: &Plugin, state: &str) -> Value {
    json!({
        "creationTime": describe::timestamp(plugin.created),
        "customPluginArn": plugin.arn,
        "customPluginState": state,
        "description": plugin.description,
        "name": plugin.name,
        "latestRevision": {
            "contentType": plugin.content_type,
            "creationTime": describe::timestamp(plugin.created),
            "description": plugin.description,
            "fileDescription": {"fileMd5": plugin.md5, "fileSize": plugin.size},
            "location": {"s3Location": plugin.location},
            "revision": 1,
        },
    })
}
