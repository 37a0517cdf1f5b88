//! Mails, from Dovecot over TLS.

use std::process::Command;

use serde_json::json;

use super::broker::{Broker, Place, Running, certificate};
use super::suite;
use crate::events::{outputs, runs, settled, wait_until_asked};
use crate::project::{Project, wait_until};
use crate::server::Up;

struct Dovecot;

impl Broker for Dovecot {
    const WORD: &'static str = "imap";
    const TRIGGER: &'static str = "INBOX";
    const PACKAGE: &'static str = "dovecot-imapd";
    const PROGRAM: &'static str = "/usr/sbin/dovecot";
    const DATA: &'static str = "event.mail.text | trim";
    const SUBJECT: &'static str = "event.mail.subject";
    const TEAM: &'static str = "'none'";

    fn command(at: &Place<'_>) -> Command {
        let (folder, port) = (at.folder.display(), at.port);
        let config = format!(
            "base_dir = {folder}/run\nlog_path = {folder}/log\nprotocols = imap\nlisten = 127.0.0.1\nssl = required\n\
             ssl_cert = <{folder}/certificate\nssl_key = <{folder}/key\nfirst_valid_uid = 1\nmail_location = maildir:{folder}/mail\n\
             service imap-login {{\n  inet_listener imap {{\n    port = 0\n  }}\n  inet_listener imaps {{\n    port = {port}\n    ssl = yes\n  }}\n}}\n\
             passdb {{\n  driver = static\n  args = password={}\n}}\n\
             userdb {{\n  driver = static\n  args = uid=mail gid=mail home={folder}/home\n}}\n",
            Self::PASSWORD
        );
        let (certificate, key) = certificate();
        for (name, text) in [("config", config.as_str()), ("certificate", certificate), ("key", key)] {
            std::fs::write(at.folder.join(name), text).unwrap();
        }
        for name in ["mail", "home"] {
            std::fs::create_dir_all(at.folder.join(name)).unwrap();
        }
        // Mails belong to a user of Debian's.
        Command::new("chown")
            .args(["-R", "mail:mail"])
            .args([at.folder.join("mail"), at.folder.join("home")])
            .status()
            .unwrap();
        Command::new("chmod").arg("755").arg(at.folder).status().unwrap();
        let mut command = Command::new(Self::PROGRAM);
        command.arg("-F").arg("-c").arg(at.folder.join("config"));
        command
    }

    fn address(port: u16) -> String {
        format!("imaps://localhost:{port}")
    }

    fn connection(address: &str, password: &str) -> String {
        let ca = json!(certificate().0);
        format!("{{url: \"{address}\", user: {}, password: \"{password}\", ca: {ca}}}", Self::USER)
    }
}

#[test]
fn event_mail_starts_runs() {
    let Some(broker) = Running::<Dovecot>::start() else { return };
    let mut sender = broker.sender();
    sender.send(&json!({"subject": "Invoice 0", "body": "there before", "attachment": "0.csv"}));
    let pipeline = "triggers:\n  t: {imap: INBOX, connection: queue, from: \"*@supplier.example\", subject: invoice, attachment: true}\n\
        steps: {note: {set: {subject: \"${{ event.mail.subject }}\", from: \"${{ event.mail.from }}\", text: \"${{ event.mail.text | trim }}\", \
        attachments: \"${{ event.mail.attachments }}\", id: \"${{ event.id }}\"}}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    suite::connect::<Dovecot>(&project, &broker.address, Dovecot::PASSWORD);
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    sender.send(&json!({"subject": "Invoice", "body": "of somebody else", "from": "a@b.example", "attachment": "1.csv"}));
    sender.send(&json!({"subject": "Hello", "body": "not that", "attachment": "1.csv"}));
    sender.send(&json!({"subject": "Invoice", "body": "nothing with it"}));
    sender.send(&json!({"subject": "Your INVOICE für März", "body": "Hello", "attachment": "march.csv", "id": "<7@supplier.example>"}));
    let event = settled(&server, "t");
    assert_eq!(event["type"], "imap.mail");
    assert_eq!(
        outputs(&server, &event["run_id"]),
        json!({
            "subject": "Your INVOICE für März", "from": "orders@supplier.example", "text": "Hello", "id": "<7@supplier.example>",
            "attachments": [{"name": "march.csv", "type": "text/csv", "size": 5}],
        })
    );
    // The same mail once more, under another number.
    sender.send(&json!({"subject": "Your invoice", "body": "Hello", "attachment": "march.csv", "id": "<7@supplier.example>"}));
    wait_until(|| settled(&server, "t")["repeats"] == 1);
    assert_eq!(runs(&server, "p").len(), 1);
}

#[test]
fn event_mail_what_comes_while_no_server_is_up() {
    let Some(broker) = Running::<Dovecot>::start() else { return };
    let project = suite::project::<Dovecot>(&broker.address, "");
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    drop(server);
    let mut sender = broker.sender();
    sender.send(&json!({"body": "meanwhile"}));
    let server = Up::start(&project);
    wait_until(|| runs(&server, "p").len() == 1);
    assert_eq!(outputs(&server, &settled(&server, "t")["run_id"])["data"], "meanwhile");
}

#[test]
fn event_mail_server_restarted() {
    suite::a_server_that_is_away_is_said_and_comes_back::<Dovecot>();
}

#[test]
fn event_mail_wrong_credentials() {
    let Some(said) = suite::what_wrong_credentials_say::<Dovecot>() else { return };
    insta::assert_snapshot!(said, @r###"`[address]` refuses the credentials: code: None, info: Some("[AUTHENTICATIONFAILED] Authentication failed."); correct `queue` in connections.yaml"###);
}

#[test]
fn copies_of_what_is_attached_to_mails() {
    let Some(broker) = Running::<Dovecot>::start() else { return };
    let mut sender = broker.sender();
    sender.send(&json!({"subject": "Report 1", "body": "see below", "content": "id,n\n1,a\n", "attachment": "one.csv"}));
    sender.send(&json!({"subject": "Report 2", "body": "see below", "content": "id,n\n2,b\n", "attachment": "TWO.CSV"}));
    sender.send(&json!({"subject": "Report 3", "body": "of a stranger", "from": "a@b.example", "attachment": "three.csv"}));
    sender.send(&json!({"subject": "Report 4", "body": "nothing with it"}));
    let step = "steps: {load: {copy: {from: \"queue:INBOX\", mails: {from: \"*@supplier.example\", subject: report, attachment: \"*.csv\"}, \
        format: csv, to: out.csv, add: {file: $file}}}}\n";
    let none = step.replace("subject: report", "subject: invoice");
    let project = Project::new(&[("pipelines/load.yaml", step), ("pipelines/none.yaml", &none)]);
    suite::connect::<Dovecot>(&project, &broker.address, Dovecot::PASSWORD);
    let said = project.millrace(&["run", "load"]);
    assert!(said.starts_with("exit 0"), "{said}");
    let text = project.read("out.csv");
    assert!(text.contains("queue:INBOX/") && text.contains("/TWO.CSV"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    let said = project.millrace(&["run", "none"]);
    assert!(said.starts_with("exit 1") && said.contains("no mail has a file that is wanted"), "{said}");
}

#[test]
fn a_connection_to_imap_is_tried() {
    suite::a_connection_is_tried::<Dovecot>(Some("INBOX"));
}
