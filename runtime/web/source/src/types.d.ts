declare module "*.css";
declare module "*/assets/app.js"; // of main.tsx
