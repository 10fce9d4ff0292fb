//! The bodies of query and ec2 answers: values as XML elements in the wire names of their shapes.

use quick_xml::escape::partial_escape;
use serde_json::Value;

use super::json::Misfit;
use super::model::{Kind, Model, Protocol, ShapeId, TimestampFormat};
use super::scalar;

/// Writes `<name>text</name>`.
pub(crate) fn element(name: &str, text: &str, out: &mut String) {
    open(name, out);
    out.push_str(&partial_escape(text));
    close(name, out);
}

pub(crate) fn open(name: &str, out: &mut String) {
    out.push('<');
    out.push_str(name);
    out.push('>');
}

pub(crate) fn close(name: &str, out: &mut String) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Writes the members of a structure, without an element around them.
pub(crate) fn members(model: &Model, shape: ShapeId, value: &Value, out: &mut String) -> Result<(), Misfit> {
    let shape = model.shape(shape);
    let (Kind::Structure(structure), Value::Object(object)) = (&shape.kind, value) else {
        return Err(Misfit::new(&shape.name, "is not a structure"));
    };
    for (name, value) in object {
        let member = structure.member(name).ok_or_else(|| Misfit::new(&shape.name, &format!("has no `{name}`")))?;
        if !value.is_null() {
            write(model, member.shape, &member.wire_name, value, out)?;
        }
    }
    Ok(())
}

fn write(model: &Model, shape_id: ShapeId, name: &str, value: &Value, out: &mut String) -> Result<(), Misfit> {
    let shape = model.shape(shape_id);
    match (&shape.kind, value) {
        (Kind::Structure(_), _) => {
            open(name, out);
            members(model, shape_id, value, out)?;
            close(name, out);
        }
        (Kind::List { member, wire_name, flattened: true }, Value::Array(items)) => {
            for item in items {
                write(model, *member, wire_name.as_deref().unwrap_or(name), item, out)?;
            }
        }
        (Kind::List { member, wire_name, .. }, Value::Array(items)) => {
            // EC2's model names its items; where it does not, its answers still say `item`.
            let default = if model.protocol == Protocol::Ec2 { "item" } else { "member" };
            open(name, out);
            for item in items {
                write(model, *member, wire_name.as_deref().unwrap_or(default), item, out)?;
            }
            close(name, out);
        }
        (Kind::Map { value: shape, key_name, value_name, flattened, .. }, Value::Object(object)) => {
            let entry = if *flattened { name } else { "entry" };
            if !flattened {
                open(name, out);
            }
            for (key, value) in object {
                open(entry, out);
                element(key_name, key, out);
                write(model, *shape, value_name, value, out)?;
                close(entry, out);
            }
            if !flattened {
                close(name, out);
            }
        }
        (Kind::Timestamp(format), Value::Number(number)) => {
            let format = format.unwrap_or(TimestampFormat::Iso8601);
            let text = number.as_f64().and_then(|seconds| scalar::format_time(seconds, format));
            element(name, &text.ok_or_else(|| Misfit::new(&shape.name, "is no time"))?, out);
        }
        (Kind::String | Kind::Blob, Value::String(text)) => element(name, text, out),
        (Kind::Boolean, Value::Bool(_)) | (Kind::Integer | Kind::Long | Kind::Double, Value::Number(_)) => {
            element(name, &value.to_string(), out);
        }
        _ => return Err(Misfit::new(&shape.name, "is of another type")),
    }
    Ok(())
}
