class Ottla < Formula
  desc "{description}"
  homepage "{url}"
  version "0.0.0"
  license "LicenseRef-Cargo.toml"

  depends_on :linux

{resources}

  # bin, share and etc are as in the tarball.
  def install
    bin.install Dir["bin/*"]
    man1.install Dir["share/man/man1/*"]
    bash_completion.install Dir["share/bash-completion/completions/*"]
    zsh_completion.install "share/zsh/site-functions/_ottla"
    fish_completion.install "share/fish/vendor_completions.d/ottla.fish"
    # Before the installation: an upgrade keeps the installed file, which may have been changed.
    inreplace "etc/ottla/server.properties", "/var/lib/ottla", var/"lib/ottla"
    (etc/"ottla").install "etc/ottla/server.properties"
  end

  service do
    run [opt_bin/"ottla", "serve", "--config", etc/"ottla/server.properties"]
    keep_alive true
    log_path var/"log/ottla.log"
    error_log_path var/"log/ottla.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/ottla --version")
    assert_match version.to_s, shell_output("#{bin}/kafka-topics --version")
  end
end
