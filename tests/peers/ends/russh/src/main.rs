//! An end of russh: russh-end client|server PORT KEY [CERTIFICATE]; a client with `certificates` instead asks for such host keys.
//!
//! It prints what it knows as lines that begin with SAID, for tests/peers.

use std::sync::Arc;

use russh::keys::{
    Algorithm, Certificate, EcdsaCurve, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_openssh_certificate, load_secret_key,
};
use russh::{Names, Preferred, client, server};

struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let print = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256),
            PublicKeyOrCertificate::Certificate(certificate) => {
                println!(
                    "SAID {{\"host_key.certificate.serial\": {}, \"host_key.certificate.key_id\": \"{}\"}}",
                    certificate.serial(),
                    certificate.key_id()
                );
                certificate.public_key().fingerprint(HashAlg::Sha256)
            }
        };
        println!("SAID {{\"host_key.fingerprint\": \"{print}\"}}");
        Ok(true)
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &Names, session: &mut client::Session) -> Result<(), Self::Error> {
        let line = String::from_utf8_lossy(session.remote_sshid()).into_owned();
        let software = line.splitn(3, '-').nth(2).unwrap_or_default().split(' ').next().unwrap_or_default().trim_end();
        // A cipher alone: where it authenticates by itself, the names of codes are not told.
        let cipher = names.cipher.as_ref();
        let codes = if cipher.contains("gcm") || cipher.contains("poly1305") {
            String::new()
        } else {
            format!(
                ", \"mac_client_to_server\": \"{}\", \"mac_server_to_client\": \"{}\"",
                names.client_mac.as_ref(),
                names.server_mac.as_ref()
            )
        };
        println!(
            "SAID {{\"server_software\": \"{software}\", \"kex\": \"{}\", \"cipher_client_to_server\": \"{cipher}\", \"strict_kex\": {}{codes}}}",
            names.kex.as_ref(),
            names.strict_kex()
        );
        Ok(())
    }
}

#[derive(Clone)]
struct Server;

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: server::VerifiedPublicKey<'_>) -> Result<server::Auth, Self::Error> {
        Ok(server::Auth::Accept)
    }
}

async fn client(port: u16, key: &str, certificates: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut preferred = Preferred::default();
    if certificates {
        preferred.host_key_certificates =
            vec![Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }, Algorithm::Rsa { hash: Some(HashAlg::Sha512) }]
                .into();
    }
    let config = Arc::new(client::Config { preferred, ..client::Config::default() });
    let mut session = client::connect(config, ("127.0.0.1", port), Client).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(load_secret_key(key, None)?), None);
    if !session.authenticate_publickey("root", key).await?.success() {
        return Err("not let in".into());
    }
    session.disconnect(russh::Disconnect::ByApplication, "", "").await?;
    Ok(())
}

async fn server(port: u16, key: &str, certificate: Option<Certificate>) -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let keys = vec![load_secret_key(key, None)?];
    let config = server::Config { keys, certificates: certificate.into_iter().collect(), ..server::Config::default() };
    let config = Arc::new(config);
    println!("READY");
    loop {
        let (stream, _) = listener.accept().await?;
        let config = config.clone();
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, Server).await {
                let _ = session.await;
            }
        });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [side, port, key, rest @ ..] = &arguments[..] else { return Err("russh-end client|server PORT KEY".into()) };
    let port = port.parse()?;
    match side.as_str() {
        "client" => client(port, key, !rest.is_empty()).await,
        _ => server(port, key, rest.first().map(load_openssh_certificate).transpose()?).await,
    }
}
