//! One connection against small servers in this process: what it does right, and how it names what is wrong.

mod it {
    mod calls;
    mod sasl;
    mod server;
    mod strangers;
    mod tls;
}
