//! The user data of a client machine.

const TEMPLATE: &str = include_str!("../../templates/client/user-data.sh");

/// The script that a client machine runs at its first boot. Bucket and region are all that it is told: which program to
/// run it finds in the bucket, so that a new build is no reason to touch a machine. Neither can have a quote in it
/// (S3 user guide, "Bucket naming rules").
pub fn user_data(bucket: &str, region: &str) -> String {
    TEMPLATE.replace("@BUCKET@", bucket).replace("@REGION@", region)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EC2 takes 16 KiB (EC2 user guide, "User data and the AWS Management Console"); half of it leaves room.
    #[test]
    fn it_is_small_and_nothing_is_left_to_fill_in() {
        let script = user_data("pins-000000000000-us-east-1", "us-east-1");
        assert!(script.len() < 8 << 10, "{}", script.len());
        assert!(script.contains("bucket='pins-000000000000-us-east-1'\nregion='us-east-1'\n"), "{script}");
        assert!(!script.contains("@BUCKET@") && !script.contains("@REGION@"), "{script}");
    }

    #[test]
    fn it_is_a_script_that_sh_can_read() {
        use std::io::Write;
        let mut sh = std::process::Command::new("sh").arg("-n").stdin(std::process::Stdio::piped()).spawn().unwrap();
        sh.stdin.take().unwrap().write_all(user_data("b", "r").as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
    }
}
