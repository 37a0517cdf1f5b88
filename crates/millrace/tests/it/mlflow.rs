//! The unmodified MLflow client against the real executable.

use crate::clients::drive;
use crate::project::Project;
use crate::server::Up;

#[test]
fn the_mlflow_client_tracks_here() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("mlflow_client.py", &[&server.url], project.path());
}

#[test]
fn the_mlflow_client_traces_here() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("mlflow_traces_client.py", &[&server.url], project.path());
}
