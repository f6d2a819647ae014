use std::net::TcpListener;

use crate::binary::{complaint, metalayer};

#[test]
fn up_says_what_stands_in_its_way() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let held = TcpListener::bind("127.0.0.1:0")?;
    let taken = held.local_addr()?.port().clamp(1_024, 65_000).to_string();
    let file = home.path().join("file");
    std::fs::write(&file, "")?;
    let (file, below) = (file.display().to_string(), file.join("data").display().to_string());
    let cases: [(&[&str], &str); 4] = [
        (&["up", "--port-base", &taken], "--port-base"),
        (&["up", "--data-dir", &file], "is a file"),
        (&["up", "--data-dir", &below], "cannot use the data folder"),
        (&["up", "--network", &file], "--data-dir"),
    ];
    for (arguments, words) in cases {
        let complaint = complaint(&mut metalayer(arguments, home.path()))?;
        assert!(complaint.contains(words), "{words}: {complaint}");
    }
    Ok(())
}

#[test]
fn commands_without_a_system_say_how_to_get_one() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let nowhere = ["--api", "http://127.0.0.1:9"];
    for command in [&["send", "1"][..], &["quote", "1"], &["history"]] {
        let complaint = complaint(metalayer(command, home.path()).args(nowhere))?;
        assert!(complaint.contains("127.0.0.1:9"), "{complaint}");
        assert!(complaint.contains("metalayer up"), "{complaint}");
    }
    Ok(())
}
