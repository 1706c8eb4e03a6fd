//! What operators want done, as it reaches the driver.

use std::sync::Arc;

use had_core::ports::{GroupAction, Request};
use had_proto::v1;
use had_proto::v1::command_request::Command;
use had_proto::v1::group_command::Action;

use super::desk::Desk;
use super::{nodes, over_socket, serve_socket, start};

/// What the driver of the leader is told for each command, or the refusal.
async fn told(commands: Vec<Command>) -> Vec<Result<Request, String>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("had.sock");
    let desk = Desk::new("h1", Some("h1"));
    let forward = Arc::new(start(&desk, &nodes().await, None).await);
    let _socket = serve_socket(&path, Arc::clone(&desk) as _, forward)
        .await
        .unwrap();
    let mut client = over_socket(&path).await;
    let mut told = Vec::new();
    for command in commands {
        let request = v1::CommandRequest {
            id: Some(v1::CommandId {
                process: 9,
                number: 1,
            }),
            command: Some(command),
        };
        let answer = client.request(request).await;
        let seen = desk.seen.lock().unwrap().pop().map(|(_, what)| what);
        told.push(match (answer, seen) {
            (Ok(_), Some(what)) => Ok(what),
            (Err(status), None) => Err(status.message().to_owned()),
            odd => panic!("{odd:?}"),
        });
    }
    told
}

#[tokio::test]
async fn a_group_is_started_stopped_and_cleared() {
    let act = |action: i32| {
        Command::GroupCommand(v1::GroupCommand {
            group: "web".into(),
            action,
        })
    };
    let actions = [Action::Start, Action::Stop, Action::Clear];
    let commands = actions.into_iter().map(|action| act(action.into()));
    let expected = [GroupAction::Start, GroupAction::Stop, GroupAction::Clear];
    let expected = expected.map(|action| {
        Ok(Request::Group {
            group: "web".into(),
            action,
        })
    });
    assert_eq!(told(commands.collect()).await, expected);

    let unknown = "a group command with an action that this version does not know";
    let unset = Action::Unspecified.into();
    assert_eq!(
        told(vec![act(unset), act(77)]).await,
        [Err(unknown.to_owned()), Err(unknown.to_owned())]
    );
}

#[tokio::test]
async fn maintenance_is_for_one_group_or_for_all() {
    let maintenance = |group: Option<&str>, on| {
        Command::Maintenance(v1::Maintenance {
            group: group.map(str::to_owned),
            on,
        })
    };
    let expected = |group: Option<&str>, on| {
        Ok(Request::Maintenance {
            group: group.map(Into::into),
            on,
        })
    };
    assert_eq!(
        told(vec![
            maintenance(Some("web"), true),
            maintenance(None, false)
        ])
        .await,
        [expected(Some("web"), true), expected(None, false)]
    );
}
