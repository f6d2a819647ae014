//! The compose file.

use super::{ADMIN_PORT, CONFIG_DIR, LISTEN_PORT, RPC_PORT, STATE_DIR, token};
use crate::local::{keys::Holder, layout::Role};

/// Host of the database server.
pub(super) const DATABASE: &str = "postgres";
/// Host of embedded chains.
pub(super) const CHAINS: &str = "chains";

/// What `.env` has to say.
pub(super) const ENVIRONMENT: &str = "\
# Copy to .env and fill in. Compose reads it; nothing here is written into any other file.
# A checkout of the source, which the image is built from. Files in ./secrets (and ./chains, if there) belong to
# user 10001, as whom the roles run.
METALAYER_SOURCE=
# Password of the database server, chosen by you.
METALAYER_DB_PASSWORD=
# Where people reach the API; put a proxy with TLS before it.
METALAYER_API_LISTEN=127.0.0.1:8080
";

const HEAD: &str = "\
# Written by `metalayer up --export`: one container a role, each with what it needs and nothing more.
# Secrets are files in ./secrets, seen by the roles that use them; .env says what differs by machine.
name: metalayer

services:
";

/// What every container of ours has in common.
const COMMON: &str = "    image: metalayer
    build:
      context: .
      dockerfile: Containerfile
      additional_contexts:
        source: ${METALAYER_SOURCE:?set it in .env}
    user: \"10001:10001\"
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: [\"no-new-privileges:true\"]
    restart: unless-stopped
    stop_grace_period: 40s
";

/// The compose file of all services, with embedded chains if there are any and the relayer's gateway at this port.
pub(super) fn compose(chains: Option<u16>, gateway: u16) -> String {
    let mut text = HEAD.to_owned() + &database();
    if let Some(count) = chains {
        text += &embedded_chains(count);
    }
    for role in Role::services() {
        text += &service(role, chains.is_some(), gateway);
    }
    text += "\nvolumes:\n  postgres: {}\n";
    for role in Role::services().filter(|role| keeps_files(*role)) {
        text += &format!("  {role}: {{}}\n");
    }
    text += "\nsecrets:\n";
    for name in Role::services().flat_map(secrets) {
        text += &format!("  {name}:\n    file: ./secrets/{name}\n");
    }
    text
}

fn database() -> String {
    format!(
        "  {DATABASE}:
    image: docker.io/library/postgres:17
    user: \"999:999\"
    read_only: true
    tmpfs: [/tmp, /var/run/postgresql]
    cap_drop: [ALL]
    security_opt: [\"no-new-privileges:true\"]
    restart: unless-stopped
    stop_grace_period: 60s
    environment:
      POSTGRES_USER: metalayer
      POSTGRES_PASSWORD: ${{METALAYER_DB_PASSWORD:?set it in .env}}
    volumes:
      - postgres:/var/lib/postgresql/data
      - ./databases.sql:/docker-entrypoint-initdb.d/databases.sql:ro
    healthcheck:
      test: [CMD, pg_isready, --username, metalayer]
      interval: 5s
      timeout: 3s
      retries: 10
"
    )
}

fn embedded_chains(count: u16) -> String {
    let last = RPC_PORT + count - 1;
    format!(
        "
  # Development chains, with the state that the contracts were deployed in: for trying out only.
  {CHAINS}:
{COMMON}    command: [devnet, --config, {CONFIG_DIR}/{CHAINS}.toml]
    expose: [\"{RPC_PORT}-{last}\"]
    volumes:
      - ./config/{CHAINS}.toml:{CONFIG_DIR}/{CHAINS}.toml:ro
      - ./chains:{STATE_DIR}
    healthcheck:
      test: [CMD, metalayer, health, --rpc, \"http://127.0.0.1:{RPC_PORT}\"]
      interval: 5s
      timeout: 3s
      retries: 10
"
    )
}

fn service(role: Role, has_chains: bool, gateway: u16) -> String {
    let command = role.command();
    let secrets = secrets(role).join(", ");
    let mut text = format!(
        "
  {role}:
{COMMON}    command: [{command}, --config, {CONFIG_DIR}/{role}.toml]
    environment:
      PGPASSWORD: ${{METALAYER_DB_PASSWORD:?set it in .env}}
    secrets: [{secrets}]
    volumes:
      - ./config/{role}.toml:{CONFIG_DIR}/{role}.toml:ro
      - ./manifest.json:{CONFIG_DIR}/manifest.json:ro
"
    );
    if keeps_files(role) {
        text += &format!("      - {role}:{STATE_DIR}\n");
    }
    if role == Role::Aggregator {
        text +=
            &format!("    ports: [\"${{METALAYER_API_LISTEN:-127.0.0.1:8080}}:{LISTEN_PORT}\"]\n");
    } else {
        let port = if role == Role::Relayer { gateway } else { LISTEN_PORT };
        text += &format!("    expose: [\"{port}\"]\n");
    }
    text += &format!(
        "    healthcheck:
      test: [CMD, metalayer, health, \"http://127.0.0.1:{ADMIN_PORT}/health\"]
      interval: 5s
      timeout: 3s
      retries: 10
      start_period: 30s
    depends_on:
      {DATABASE}: {{condition: service_healthy}}
"
    );
    if has_chains {
        text += &format!("      {CHAINS}: {{condition: service_healthy}}\n");
    }
    text
}

/// Whether a role keeps more than its database.
const fn keeps_files(role: Role) -> bool {
    matches!(role, Role::Validator(_))
}

/// Names of the secrets that a role reads.
fn secrets(role: Role) -> Vec<String> {
    match role {
        Role::Validator(index) => {
            vec![Holder::Instant(index).file(), Holder::Finalized(index).file()]
        }
        Role::Relayer => vec![Holder::Relayer.file()],
        Role::Solver(index) => {
            [Holder::Solver(index).file()].into_iter().chain(token(role)).collect()
        }
        Role::Aggregator => vec!["integrity.key".to_owned()],
        Role::Devnet => Vec::new(),
    }
}
