//! The way to the mail server: SMTP (RFC 5321), with TLS from the beginning or by STARTTLS (RFC 3207).

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use weir_core::{Id, Secret};

use crate::email::Email;
use crate::error::{Error, Result};

pub(super) type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// The server's name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to in the clear.
    pub tls: MailTls,
    /// A certificate of an authority to trust beside the system's, in PEM.
    pub authority: Option<Vec<u8>>,
    /// Account and password there. They are only sent over TLS.
    pub credentials: Option<(String, Secret<String>)>,
    /// From whom letters come.
    pub from: String,
    /// How long each step may take.
    pub timeout: Duration,
}

/// Whether a mail server is spoken to in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// In the clear: a server on the same machine.
    None,
    /// TLS after a first exchange, or not at all. Usually port 587.
    StartTls,
    /// TLS from the first byte (RFC 8314 §3.3). Usually port 465.
    Implicit,
}

impl MailOptions {
    /// Whether they can be used at all.
    pub fn check(&self) -> Result<()> {
        Email::parse(&self.from).map_err(|_| Error::invalid("mail.from", "is no address"))?;
        if self.tls == MailTls::None && self.credentials.is_some() {
            let why = "is needed where a password is sent";
            return Err(Error::invalid("mail.tls", why));
        }
        self.transport().map(drop)
    }

    pub(super) fn transport(&self) -> Result<Transport> {
        let mut builder = Transport::builder_dangerous(&self.host)
            .port(self.port)
            .timeout(Some(self.timeout))
            .tls(self.tls()?);
        if let Some((account, password)) = &self.credentials {
            let password = password.expose().clone();
            builder = builder.credentials(Credentials::new(account.clone(), password));
        }
        Ok(builder.build())
    }

    fn tls(&self) -> Result<Tls> {
        if self.tls == MailTls::None {
            return Ok(Tls::None);
        }
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(authority) = &self.authority {
            let authority = Certificate::from_pem(authority).map_err(Error::internal)?;
            parameters = parameters.add_root_certificate(authority);
        }
        let parameters = parameters.build_rustls().map_err(Error::internal)?;
        Ok(match self.tls {
            MailTls::Implicit => Tls::Wrapper(parameters),
            _ => Tls::Required(parameters),
        })
    }

    /// The letter's identifier makes its `Message-ID`: one that is sent twice because an answer was
    /// lost is known as one.
    pub(super) fn message(
        &self,
        id: &Id,
        recipient: &str,
        subject: String,
        text: String,
    ) -> Result<Message> {
        let domain = self.from.rsplit('@').next().unwrap_or("localhost");
        Message::builder()
            .from(mailbox(&self.from)?)
            .to(mailbox(recipient)?)
            .message_id(Some(format!("<{id}@{domain}>")))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(Error::internal)
    }
}

fn mailbox(address: &str) -> Result<Mailbox> {
    let address = Email::parse(address)?;
    let address = address.as_str().parse().map_err(Error::internal)?;
    Ok(Mailbox::new(None, address))
}

pub(super) async fn send(transport: &Transport, message: Message) -> Result<()> {
    transport.send(message).await.map_err(Error::internal)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> MailOptions {
        MailOptions {
            host: "mail.example".to_owned(),
            port: 587,
            tls: MailTls::None,
            authority: None,
            credentials: None,
            from: "weir@weir.example".to_owned(),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn no_name_can_add_a_header() {
        let message = options()
            .message(
                &Id::new("eml"),
                "a@b.example",
                "Invitation to x\r\nBcc: all@b.example\r\n\r\nbody".to_owned(),
                "text".to_owned(),
            )
            .unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(!text.to_lowercase().contains("\nbcc:"), "{text}");
        assert_eq!(text.matches("\r\n\r\n").count(), 1, "{text}");
        let hostile = "a@b.example>\r\nBcc: <c@d.example";
        let refused = options().message(&Id::new("eml"), hostile, "s".to_owned(), "t".to_owned());
        assert!(refused.is_err());
    }

    #[test]
    fn a_password_does_not_travel_in_the_clear() {
        let mut options = options();
        assert!(options.check().is_ok());
        options.credentials = Some(("weir".to_owned(), Secret::new("canary".to_owned())));
        assert!(options.check().is_err());
        assert!(!format!("{options:?}").contains("canary"));
    }
}
