//! Tests that run on both servers.

/// Makes two tests of each function `fn(&Bench, Server) -> Result<()>`: one on the server that
/// `TANDEM_TEST_SERVER` names (Prosody by default), and in the module `on_ejabberd` one on ejabberd.
#[macro_export]
macro_rules! on_both_servers {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod on_chosen {
            $(
                $(#[$attribute])*
                #[test]
                fn $name() -> ::anyhow::Result<()> {
                    $crate::tandem::with_tandem(|bench| super::$name(bench, $crate::Server::chosen()?))
                }
            )+
        }
        mod on_ejabberd {
            $(
                $(#[$attribute])*
                #[test]
                fn $name() -> ::anyhow::Result<()> {
                    $crate::tandem::with_tandem(|bench| super::$name(bench, $crate::Server::Ejabberd))
                }
            )+
        }
    };
}
