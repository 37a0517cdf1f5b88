//! `millrace models …`. A version is written `name`, `name@3` or `name@alias`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Models {
    /// Without one, list the models.
    #[command(subcommand)]
    pub(crate) command: Option<ModelsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Show a version: signature, size, flavours, numbers by dataset, what is in its ONNX graph.
    Show {
        /// `name`, `name@3` or `name@alias`.
        model: String,
    },
    /// Put versions beside each other; only what differs, unless all is asked for.
    Compare {
        /// Two or more versions.
        #[arg(num_args = 2.., required = true)]
        models: Vec<String>,
        /// Also what is the same everywhere.
        #[arg(long)]
        all: bool,
    },
    /// Print the card of a version, Markdown; with a file, write what it says first.
    Card {
        /// `name`, `name@3` or `name@alias`.
        model: String,
        /// Keep this text as what people say of the version.
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
        /// Who writes; the user of the system if absent.
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,
    },
    /// Say what a version was made from, back to the source rows, and which endpoints answer with it.
    Lineage {
        /// `name`, `name@3`, `name@alias`, or `endpoint:name`.
        model: String,
    },
    /// List requests to promote versions, newest first.
    Requests {
        /// Only of this model.
        model: Option<String>,
    },
    /// Ask to point an alias at a version. Others approve.
    Request(PromotionRequest),
    /// Say yes to a request. The last yes that it needs moves the alias.
    Approve(Verdict),
    /// Say no to a request, and why.
    Reject(Verdict),
    /// Take a request back.
    Withdraw(Verdict),
}

#[derive(Debug, Args)]
pub(crate) struct PromotionRequest {
    /// The version.
    pub(crate) model: String,
    /// The alias that is to point at it.
    pub(crate) alias: String,
    /// Why.
    #[arg(long, short, default_value = "")]
    pub(crate) message: String,
    /// Approvals wanted; at least those that the model's tag `millrace.approvals` asks for.
    #[arg(long, default_value_t = 1)]
    pub(crate) approvals: u32,
    /// Who asks; the user of the system if absent.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verdict {
    /// Id of the request, or the beginning or the end of it.
    pub(crate) request: String,
    /// Why.
    #[arg(long, short, default_value = "")]
    pub(crate) message: String,
    /// Who says so; the user of the system if absent.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) by: Option<String>,
}
