{
  description = "A shell and its tools in one static program, from no network at all";

  outputs =
    { self }:
    let
      # The folder `bin` holds `busybox`, a static one of this machine: see README.md.
      # Its name must be its own: busybox chooses what to be by the name it is started with.
      for = system: {
        default = derivation {
          name = "env";
          inherit system;
          builder = "${./bin}/busybox";
          args = [ "sh" ./build.sh ];
          from = ./bin;
          applets = "awk cat cp echo env false grep head id ls mkdir mv pwd rm sed sh sleep sort tail test touch tr true uname wc";
        };
      };
    in
    {
      packages.x86_64-linux = for "x86_64-linux";
      packages.aarch64-linux = for "aarch64-linux";
    };
}
