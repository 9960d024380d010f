//! The SIP side of Tandem.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use tandem_b2bua::admin::Ask;
use tandem_b2bua::config::Config;
use tandem_b2bua::shell::admin;
use tandem_shared::account::{Account, Password};
use tandem_shared::cli::{self, Args, Program, Subcommand};

/// Half of a message's cost is in small allocations, which this does in two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the b2bua alone can be told; the running process answers.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show every trunk: whether it answers, until when it is registered, how many calls it has.
    Trunks,
    /// Register at a trunk now, and tell what became of it: until when, or the provider's own words.
    Register {
        /// The trunk's name.
        trunk: String,
    },
    /// Tell what would become of a call or message, step by step.
    RouteTest {
        /// A number, a SIP address or the JID of a contact.
        to: String,
        /// The user who would call or write.
        #[arg(long, value_name = "JID")]
        from: Option<String>,
    },
    /// Show who asked to reach numbers abroad, and what became of it.
    Approvals,
    /// Let a user reach numbers abroad, where policy.approve_abroad asks for it.
    Approve {
        /// The user's JID.
        user: String,
    },
    /// Do not let a user reach numbers abroad.
    Deny {
        /// The user's JID.
        user: String,
    },
    /// Accounts of users' own at SIP providers.
    #[command(subcommand)]
    Account(AccountCommand),
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Show accounts, and whether they are registered.
    List {
        /// Of this user alone.
        #[arg(long, value_name = "JID")]
        user: Option<String>,
    },
    /// Keep an account of a user; the password is read from the terminal or the standard input.
    Set(SetArguments),
    /// Forget an account, and take its registration back.
    Remove {
        /// The account's address: sip:alice@provider.example, or the number of one that cannot be opened.
        address: String,
        /// Of this user, where several have it.
        #[arg(long, value_name = "JID")]
        user: Option<String>,
    },
}

#[derive(Debug, Args)]
struct SetArguments {
    /// The user's JID.
    user: String,
    /// The account's address: sip:alice@provider.example
    address: String,
    /// The name it logs in by, if not that of the address.
    #[arg(long)]
    login: Option<String>,
    /// Where its requests go, if not to the host of the address.
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,
    /// udp, tcp, tls, ws or wss; as DNS says when left out.
    #[arg(long)]
    transport: Option<String>,
    /// How the provider writes numbers: +e164, e164 or national.
    #[arg(long, value_name = "FORMAT")]
    number_format: Option<String>,
    /// Its owner is called by it, and calls by the trunks of all.
    #[arg(long)]
    incoming_only: bool,
}

fn main() -> ExitCode {
    cli::main(&Program::<Config, Command> {
        name: "tandem-b2bua",
        about: "Tandem's SIP side: calls and messages between a SIP network and the XMPP component",
        log: |config| &config.log,
        run: tandem_b2bua::shell::run::run,
        perform,
    })
}

fn perform(config: &Config, command: Command) -> anyhow::Result<()> {
    let socket = config.admin_socket();
    let ask = match command {
        Command::Trunks => Ask::Trunks,
        Command::Register { trunk } => {
            let text = admin::register(&socket, &trunk)?;
            std::io::stdout().write_all(text.as_bytes())?;
            return Ok(());
        }
        Command::RouteTest { to, from } => Ask::RouteTest { to, from },
        Command::Account(AccountCommand::List { user }) => Ask::Accounts { user },
        Command::Account(AccountCommand::Remove { address, user }) => {
            Ask::RemoveAccount { address, user }
        }
        Command::Account(AccountCommand::Set(arguments)) => arguments.ask(&socket)?,
        Command::Approvals => Ask::Approvals,
        Command::Approve { user } => Ask::Approve { user },
        Command::Deny { user } => Ask::Deny { user },
    };
    let text = admin::ask(&socket, &ask)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

impl SetArguments {
    /// Asks for the password only once everything else is known to be right.
    fn ask(self, socket: &Path) -> anyhow::Result<Ask> {
        let user = self.user;
        let mut account = Box::new(Account {
            login: self.login,
            server: self.server,
            transport: self.transport,
            number_format: self.number_format,
            outgoing: !self.incoming_only,
            ..Account::new(self.address, "")
        });
        let check = Ask::CheckAccount {
            user: user.clone(),
            account: account.clone(),
        };
        admin::ask(socket, &check)?;
        account.password = Password(password()?);
        Ok(Ask::SetAccount { user, account })
    }
}

/// The password, which no command line may show.
fn password() -> anyhow::Result<String> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok(rpassword::prompt_password("password: ")?);
    }
    let mut line = String::new();
    input.lock().take(MAX_PASSWORD).read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        anyhow::bail!("the password is missing; give it on the standard input");
    }
    Ok(password.to_owned())
}

/// The longest line a password is looked for in, in bytes.
const MAX_PASSWORD: u64 = 1024;
