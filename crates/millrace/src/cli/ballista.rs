//! Arguments of `millrace ballista`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum BallistaNode {
    /// Take plans of servers and commands, and give their stages to executors. What it knows is in memory: jobs end with it.
    Scheduler(SchedulerNode),
    /// Run stages. It reads the same folders or buckets as those who ask; those of S3 with the keys that are in its environment.
    Executor(ExecutorNode),
}

#[derive(Debug, Args)]
pub(crate) struct SchedulerNode {
    /// Address to listen at. Nobody is asked who they are: other machines only in a network that is trusted.
    #[arg(long, default_value = "127.0.0.1:50050")]
    pub(crate) listen: SocketAddr,
    /// Name that other machines reach this one by; the address it listens at if absent.
    #[arg(long)]
    pub(crate) advertise: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExecutorNode {
    /// Host and port of the scheduler.
    #[arg(long, default_value = "127.0.0.1:50050")]
    pub(crate) scheduler: String,
    /// Address at which others fetch its results.
    #[arg(long, default_value = "127.0.0.1:50051")]
    pub(crate) listen: SocketAddr,
    /// Port at which the scheduler gives it work; the one after that of `--listen` if absent.
    #[arg(long)]
    pub(crate) control_port: Option<u16>,
    /// Name that other machines reach this one by; as the scheduler sees it if absent.
    #[arg(long)]
    pub(crate) advertise: Option<String>,
    /// Tasks at once; as many as there are cores if absent.
    #[arg(long)]
    pub(crate) cores: Option<usize>,
    /// Memory for sorts, joins and aggregations of all tasks together; beyond it they spill.
    #[arg(long, default_value = "4GB")]
    pub(crate) memory: String,
    /// Folder for results and spilled rows; one for the time that it works if absent.
    #[arg(long)]
    pub(crate) work_folder: Option<PathBuf>,
}
