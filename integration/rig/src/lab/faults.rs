//! What goes wrong between hosts and switches.

use std::time::Instant;

use anyhow::Result;

use super::Lab;
use crate::netlink::Passing;

impl Lab {
    /// Cuts a link silently: the host's interface keeps its carrier, and not a frame passes. Says when.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn cut(&mut self, host: &str, link: u8) -> Result<Instant> {
        self.switch(link)?.plug(host, false)?;
        Ok(Instant::now())
    }

    /// Cuts every link of a host silently. Says when the first was cut.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn cut_all(&mut self, host: &str) -> Result<Instant> {
        let at = Instant::now();
        (0..self.links(host)).try_for_each(|link| self.switch(link)?.plug(host, false))?;
        Ok(at)
    }

    /// The host is not heard any more on this link, but hears.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn mute(&mut self, host: &str, link: u8) -> Result<Instant> {
        self.switch(link)?.pass(
            host,
            Passing {
                inward: false,
                outward: true,
            },
        )?;
        Ok(Instant::now())
    }

    /// The host hears nothing any more on this link, but is heard.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn deafen(&mut self, host: &str, link: u8) -> Result<Instant> {
        self.switch(link)?.pass(
            host,
            Passing {
                inward: true,
                outward: false,
            },
        )?;
        Ok(Instant::now())
    }

    /// Mends all links of a host, whatever was wrong with them.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn heal(&mut self, host: &str) -> Result<Instant> {
        for link in 0..self.links(host) {
            let switch = self.switch(link)?;
            switch.plug(host, true)?;
            switch.pass(
                host,
                Passing {
                    inward: true,
                    outward: true,
                },
            )?;
            switch.light(host, true)?;
        }
        Ok(Instant::now())
    }

    /// The host's interface loses its carrier, as when the cable is pulled. Says when.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn carrier_down(&mut self, host: &str, link: u8) -> Result<Instant> {
        let at = Instant::now();
        self.switch(link)?.light(host, false)?;
        Ok(at)
    }

    /// Somebody sets a host's own interface down (`ip link set eth0 down`); the kernel flushes its IPv6 addresses.
    ///
    /// # Errors
    /// Where the kernel refuses, or the host is off.
    pub fn interface_down(&mut self, host: &str, link: u8) -> Result<()> {
        self.host(host)?
            .netlink()?
            .set_up(&format!("eth{link}"), false)
    }

    /// Somebody sets it up again, and gives it back the IPv6 address of its own.
    ///
    /// # Errors
    /// As [`Lab::interface_down`].
    pub fn interface_up(&mut self, host: &str, link: u8) -> Result<()> {
        let (interface, own) = (format!("eth{link}"), self.address6(host, link)?);
        let netlink = self.host(host)?.netlink()?;
        netlink.set_up(&interface, true)?;
        // Where the kernel keeps addresses (`keep_addr_on_down`) it is there still.
        let _ = netlink.add_address(&interface, own.into(), 64);
        Ok(())
    }

    /// The power fails: nothing leaves from one moment on, then everything that ran there is gone with its interfaces
    /// and addresses. The disk stays. Says when the cut was complete.
    ///
    /// # Errors
    /// Where the kernel refuses, or the host is off.
    pub fn power_off(&mut self, host: &str) -> Result<Instant> {
        self.cut_all(host)?;
        let at = Instant::now();
        self.host(host)?.kill_all()?;
        (0..self.links(host)).try_for_each(|link| self.switch(link)?.disconnect(host))?;
        self.host(host)?.power_off();
        Ok(at)
    }

    /// The host is there again, with its own addresses; nothing runs on it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn power_on(&mut self, host: &str) -> Result<()> {
        self.host(host)?.power_on()?;
        self.connect(host)
    }
}
